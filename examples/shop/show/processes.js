/**
 * The processes of the show: started together, watched, and gone when it is over, whatever ends it.
 */

import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { clearAway } from '../services/postgres.js'

/**
 * @typedef {object} Started
 * @property {string} name
 * @property {number} pid
 * @property {number} [port] - Absent if it is somebody else's server.
 * @property {number} [controlPort]
 * @property {string} [url] - Of the database, password included.
 *
 * @typedef {object} Left - What is left behind, which is nothing.
 * @property {number[]} processes
 * @property {number[]} ports
 * @property {string[]} folders
 */

export class Processes {
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #running = new Set()
  /** @type {Started[]} */
  #started = []
  /** @type {Map<import('node:child_process').ChildProcess, import('../services/postgres.js').Held>} */
  #held = new Map()
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
   * @param {Record<string, string>} [secrets] - Environment variables: arguments can be seen by all.
   * @returns {Promise<Started>}
   */
  start(name, file, settings, secrets = {}) {
    if (this.#stopping) return Promise.reject(new Error('the show is over'))
    const path = fileURLToPath(new URL(file, import.meta.url))
    const child = fork(path, [JSON.stringify(settings)], {
      execArgv: [],
      env: { ...process.env, ...secrets },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#running.add(child)

    let complaint = ''
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      complaint = (complaint + text).slice(-2_000)
    })

    return new Promise((resolve, reject) => {
      child.on('message', (/** @type {any} */ message) => {
        if (message.held) this.#held.set(child, message.held)
        if (!message.ready) return
        const started = { name, pid: child.pid ?? 0, ...message.ready }
        this.#started.push(started)
        resolve(started)
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        this.#running.delete(child)
        // It was killed before it could clear away what it held.
        if (code !== 0) this.#clearAway(child)
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
   * @returns {Promise<Left>}
   */
  async stop() {
    this.#stopping = true
    const force = setTimeout(() => this.kill(), 2_000)
    await Promise.all(Array.from(this.#running, leave))
    clearTimeout(force)

    const held = [...this.#held.values()]
    const pids = [...this.#started, ...held].flatMap(({ pid = [] }) => pid)
    const ports = this.#started.flatMap(({ port = [], controlPort = [] }) =>
      [port, controlPort].flat(),
    )
    const open = await Promise.all(ports.map(isOpen))
    return {
      processes: pids.filter(isAlive),
      ports: ports.filter((_port, index) => open[index]),
      folders: held.map(({ folder }) => folder).filter(existsSync),
    }
  }

  /** Ends them all at once, by force. */
  kill() {
    this.#stopping = true
    for (const child of this.#running) {
      child.kill('SIGKILL')
      this.#clearAway(child)
    }
  }

  /** @param {import('node:child_process').ChildProcess} child */
  #clearAway(child) {
    const held = this.#held.get(child)
    if (held) clearAway(held)
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
export function isAlive(pid) {
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
