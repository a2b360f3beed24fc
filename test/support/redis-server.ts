/**
 * A real Redis of the test's own: the system's `redis-server` on a free port of 127.0.0.1, with data in a
 * folder of its own that outlives a crash. What is on the disk when a command is answered stays there.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly pid: number | undefined
  /** Ends it with SIGKILL, as a crash would. The data stays for `restart`. */
  kill(): Promise<void>
  /** On the same port with the same data; ends it first if it still runs. */
  restart(): Promise<void>
  /** Stops it in mid-air (SIGSTOP): connections stay open, nothing is answered. */
  pause(): void
  /** Undoes `pause`. */
  resume(): void
  /** Ends it and removes its data. Harmless when it has ended. */
  stop(): Promise<void>
}

/** Whether there is a `redis-server`. Without one its tests are skipped aloud, or fail where `CI` is set. */
export function hasRedis(): boolean {
  if (spawnSync('redis-server', ['--version']).error === undefined) return true
  const how =
    'redis-server is missing: install it (Debian: apt-get install redis-server; macOS: brew install redis)'
  if (process.env['CI']) throw new Error(how)
  console.warn(`the tests against Redis are skipped; ${how}`)
  return false
}

/** Starts one, ready to serve. `settings` are added to its configuration: `['--maxmemory', '2mb']`. */
export async function startRedis(settings: readonly string[] = []): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-redis-'))
  for (let attempt = 1; ; attempt++) {
    const server = new Server(await freePort(), folder, settings)
    try {
      await server.start()
      return server
    } catch (error) {
      await server.kill()
      // Somebody else may have taken the port between our looking and Redis' listening.
      if (attempt < 5) continue
      await server.stop()
      throw error
    }
  }
}

class Server implements RedisServer {
  readonly port: number
  readonly #folder: string
  readonly #settings: readonly string[]
  #child: ChildProcess | undefined
  #said = ''
  readonly #dieWithUs = (): void => {
    this.#child?.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  constructor(port: number, folder: string, settings: readonly string[]) {
    this.port = port
    this.#folder = folder
    this.#settings = settings
    process.on('exit', this.#dieWithUs)
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  async start(): Promise<void> {
    const settings = {
      bind: '127.0.0.1',
      port: String(this.port),
      dir: this.#folder,
      save: '',
      appendonly: 'yes',
      appendfsync: 'always',
    }
    const ours = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
    const child = spawn('redis-server', [...ours, ...this.#settings])
    this.#child = child
    const listen = (data: Buffer): void => {
      this.#said += data
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined
    })
    const patience = Date.now() + 20_000
    while (!(await answersPing(this.port))) {
      const gone = this.#child !== child
      if (gone || Date.now() > patience) {
        const why = gone ? 'ended' : 'does not answer'
        throw new Error(`redis-server on port ${this.port} ${why}; it said: ${this.#said}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    await this.kill()
    process.off('exit', this.#dieWithUs)
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Answered, and done with loading its data. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const say = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1_000, () => say(false))
    socket.on('error', () => say(false))
    socket.on('close', () => say(false))
    socket.on('data', (data) => say(data.toString().startsWith('+PONG')))
  })
}
