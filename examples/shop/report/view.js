/**
 * How the show looks: redrawn in place in a terminal, plain lines elsewhere, silent if asked.
 */

import { duration, percent, seconds } from './format.js'
import { createLiveView } from './live-view.js'
import { lately, summarise } from './metrics.js'

/**
 * @typedef {import('../show/play.js').Show & { close: () => void }} View
 *
 * @typedef {object} ViewOptions
 * @property {NodeJS.WriteStream} screen
 * @property {import('./format.js').Paint} paint
 * @property {number} pace
 */

/**
 * @param {ViewOptions & { quiet: boolean }} options - `quiet`: show nothing but in a terminal.
 * @returns {View}
 */
export function chooseView({ quiet, ...options }) {
  if (options.screen.isTTY) return createLiveView(options)
  return quiet ? silent : createLineView(options)
}

/** @type {View} */
const silent = { onStart() {}, onPhase() {}, onFrame() {}, close() {} }

/**
 * @param {ViewOptions} options
 * @returns {View}
 */
function createLineView({ screen, pace }) {
  /** @param {string} line */
  const say = (line) => screen.write(`${line}\n`)
  let nextLine = 0
  let open = true

  return {
    onStart(started) {
      for (const { name, pid, port, controlPort } of started) {
        const scheme = name === 'database' ? 'postgres' : 'http'
        const control = controlPort === undefined ? '' : `  control http://127.0.0.1:${controlPort}`
        const where = port === undefined ? 'DATABASE_URL' : `${scheme}://127.0.0.1:${port}`
        say(`${name.padEnd(18)} pid ${pid}  ${where}${control}`)
      }
    },

    onPhase({ name, start, tells }) {
      say(`\n[${seconds(start)}] ${name}. ${tells}`)
    },

    onFrame({ now, snapshot, requests }) {
      if (!open || now < nextLine) return
      nextLine += 1_000
      const recent = Math.max(1_000 * pace, 250)
      const shops = /** @type {const} */ (['bare', 'protected']).map((shop) => {
        const ended = lately(requests[shop], now, recent)
        const { answeredShare, product } = summarise(ended)
        const open = Object.entries(snapshot.shops[shop].circuits)
          .filter(([, state]) => state !== 'closed')
          .map(([service, state]) => `, ${service} ${state}`)
        const { charges } = snapshot.shops[shop].backlog
        if (charges > 0) open.push(`, ${charges} accepted and not yet charged`)
        return `${shop} answers ${percent(answeredShare)}, page p99 ${duration(product?.p99)}${open.join('')}`
      })
      say(`  ${seconds(now).padStart(7)}  ${shops.join('  |  ')}`)
    },

    close() {
      open = false
    },
  }
}
