/**
 * The processes of the show: started together, watched, and gone when it is over, whatever ends it.
 */

import { fork } from 'node:child_process'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'

/**
 * @typedef {object} Started
 * @property {string} name
 * @property {number} pid
 * @property {number} port
 * @property {number} [controlPort]
 */

export class Processes {
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #running = new Set()
  /** @type {Started[]} */
  #started = []
  #stopping = false
  #onCrash

  /**
   * @param {(error: Error) => void} onCrash - Told of a process that ends before it should.
   */
  constructor(onCrash) {
    this.#onCrash = onCrash
    // The last resort: whatever way this process ends by itself, nobody stays behind.
    process.on('exit', () => this.kill())
  }

  /** All that were started so far. */
  get started() {
    return this.#started
  }

  /**
   * Starts one and waits until it serves.
   *
   * @param {string} name
   * @param {string} file - Beside this one.
   * @param {Record<string, unknown>} settings
   * @returns {Promise<Started>}
   */
  start(name, file, settings) {
    if (this.#stopping) return Promise.reject(new Error('the show is over'))
    const path = fileURLToPath(new URL(file, import.meta.url))
    const child = fork(path, [JSON.stringify(settings)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#running.add(child)

    let complaint = ''
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      complaint = (complaint + text).slice(-2_000)
    })

    return new Promise((resolve, reject) => {
      child.once('message', (/** @type {any} */ message) => {
        const started = { name, pid: child.pid ?? 0, ...message.ready }
        this.#started.push(started)
        resolve(started)
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        this.#running.delete(child)
        if (this.#stopping) return
        // What it complained of may still be on its way.
        setTimeout(() => {
          const error = new Error(`${name} ended (${signal ?? `exit code ${code}`})\n${complaint}`)
          reject(error)
          this.#onCrash(error)
        }, 50)
      })
    })
  }

  /**
   * Ends them all and waits until they have ended.
   *
   * @returns {Promise<{ processes: number[], ports: number[] }>} What is left, which is nothing.
   */
  async stop() {
    this.#stopping = true
    const force = setTimeout(() => this.kill(), 2_000)
    await Promise.all(Array.from(this.#running, leave))
    clearTimeout(force)

    const ports = this.#started.flatMap(({ port, controlPort }) =>
      controlPort === undefined ? [port] : [port, controlPort],
    )
    const open = await Promise.all(ports.map(isOpen))
    return {
      processes: this.#started.map(({ pid }) => pid).filter(isAlive),
      ports: ports.filter((_port, index) => open[index]),
    }
  }

  /** Ends them all at once, by force. */
  kill() {
    this.#stopping = true
    for (const child of this.#running) child.kill('SIGKILL')
  }
}

/**
 * A child leaves when its channel closes: the same way as if this process had died.
 *
 * @param {import('node:child_process').ChildProcess} child
 */
function leave(child) {
  return new Promise((resolve) => {
    // Not `close`, which never comes once the channel was closed from this side.
    child.once('exit', resolve)
    if (child.exitCode !== null || child.signalCode !== null) resolve(undefined)
    else if (child.connected) child.disconnect()
    else child.kill('SIGKILL')
  })
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** @param {number} port */
function isOpen(port) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      resolve(true)
      socket.destroy()
    })
  })
}
