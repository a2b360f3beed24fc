/**
 * The show in a terminal: one screen, redrawn in place a few times a second.
 */

import { serviceNames, shops } from '../show/stage.js'
import { cut, duration, left, percent, right, seconds, sparkline } from './format.js'
import { lately, sentBetween, summarise } from './metrics.js'

/**
 * @typedef {import('../show/play.js').Frame} Frame
 * @typedef {import('./format.js').Paint} Paint
 */

const hideCursor = '\u001b[?25l'
const showCursor = '\u001b[?25h'
const clearLine = '\u001b[2K'
const clearBelow = '\u001b[J'

const nameWidth = 20
const cellWidth = 29

/**
 * @param {import('./view.js').ViewOptions} options
 * @returns {import('./view.js').View}
 */
export function createLiveView({ screen, paint, pace }) {
  /** @type {Record<string, number[]>} */
  const history = { bare: [], protected: [] }
  /** @type {readonly import('../show/processes.js').Started[]} */
  let processes = []
  let drawn = 0
  let open = true

  // Whatever ends this process, the cursor comes back.
  process.on('exit', close)

  return {
    onStart(started) {
      processes = started
      screen.write(hideCursor)
    },

    onPhase() {},

    onFrame(frame) {
      if (!open) return
      const lines = draw(frame).slice(0, (screen.rows ?? 40) - 1)
      const back = drawn > 0 ? `\u001b[${drawn}A` : ''
      const text = lines.map((line) => `${clearLine}${cut(line, (screen.columns ?? 100) - 1)}\n`)
      screen.write(`${back}${text.join('')}${clearBelow}`)
      drawn = lines.length
    },

    close,
  }

  function close() {
    if (open) screen.write(showCursor)
    open = false
  }

  /** @param {Frame} frame */
  function draw(frame) {
    return [
      ...header(frame, paint),
      '',
      ...customers(frame),
      '',
      ...services(frame, processes, paint),
      paint(
        'dim',
        `Poke one: curl -X PUT http://127.0.0.1:CONTROL/admin/fault -d '{"mode":"hang"}'`,
      ),
    ]
  }

  /** @param {Frame} frame */
  function customers({ now, requests, snapshot }) {
    const span = Math.max(2_000 * pace, 500)
    const columns = shops.map((shop) => {
      const recent = summarise(lately(requests[shop], now, span))
      const all = summarise(requests[shop].filter(({ visit }) => visit.at >= 0))
      const past = history[shop] ?? []
      past.push(recent.answeredShare)
      if (past.length > 16) past.shift()
      const { busy, limit, waiting } = snapshot.shops[shop].workers
      const { charges, mails } = snapshot.shops[shop].backlog
      const port = processes.find(({ name }) => name === `shop-${shop}`)?.port
      return {
        title: `${shop.toUpperCase()} (port ${port})`,
        answered: `${left(share(recent.answeredShare), 9)}${sparkline(past)}`,
        rate: `${(recent.requests / (span / 1_000)).toFixed(0)}`,
        product: `${duration(recent.product?.p50)} / ${duration(recent.product?.p99)}`,
        order: `${duration(recent.order?.p50)} / ${duration(recent.order?.p99)}`,
        workers: `${busy} of ${limit} busy, ${waiting} waiting`,
        backlog: `${charges} charges, ${mails} mails`,
        counts: [all.answered, all.accepted, all.degraded, all.rejected, all.failed, all.gaveUp],
      }
    })
    /**
     * @param {string} name
     * @param {(column: typeof columns[number]) => string} cell
     */
    const row = (name, cell) =>
      left(name, nameWidth) + columns.map((column) => left(cell(column), cellWidth)).join('')

    return [
      paint(
        'bold',
        row('', (column) => (column === columns[0] ? 'BARE' : 'PROTECTED')),
      ),
      row('answered now', ({ answered }) => answered),
      row('requests ended/s', ({ rate }) => rate),
      row('pages, p50 / p99', ({ product }) => product),
      row('orders, p50 / p99', ({ order }) => order),
      row('workers', ({ workers }) => workers),
      row('accepted, not done', ({ backlog }) => backlog),
      ...['answered', 'accepted', 'degraded', 'rejected', 'failed', 'gave up'].map((name, index) =>
        row(index === 0 ? 'so far: answered' : `        ${name}`, ({ counts }) =>
          String(counts[index]),
        ),
      ),
    ]
  }

  /** @param {number} value */
  function share(value) {
    return paint(value > 0.99 ? 'green' : value > 0.7 ? 'yellow' : 'red', percent(value))
  }
}

/**
 * @param {Frame} frame
 * @param {Paint} paint
 */
function header({ phase, now, total }, paint) {
  const done = Math.min(24, Math.floor((now / total) * 24))
  const bar = paint('cyan', '━'.repeat(done)) + paint('dim', '─'.repeat(24 - done))
  const title = paint('bold', `Holdfast shop: ${phase.name}`)
  const time = `${seconds(Math.min(now, total))} of ${seconds(total)}`
  const tells =
    now < total
      ? phase.tells
      : 'The doors are closed. The last customers wait, and what was accepted is done.'
  return [`${left(title, 34)}${bar} ${time}`, paint('dim', tells)]
}

/**
 * @param {Frame} frame
 * @param {readonly import('../show/processes.js').Started[]} processes
 * @param {Paint} paint
 */
function services({ snapshot, before, span }, processes, paint) {
  const rates = shops.map((shop) => sentBetween(shop, before, snapshot))
  /** @param {number | undefined} calls */
  const perSecond = (calls = 0) => (span > 0 ? (calls / (span / 1_000)).toFixed(1) : '-')

  const over = left('', 29) + right('calls/s', 14) + right('reached', 16)
  const head =
    left('service', 18) +
    left('is', 11) +
    right('bare', 7) +
    right('prot.', 7) +
    right('bare', 8) +
    right('prot.', 8) +
    '  circuit   control'
  const rows = serviceNames.map((name) => {
    const stats = snapshot.services[name]
    const reached = stats?.reached ?? {}
    const circuit = snapshot.shops.protected.circuits[name] ?? '-'
    const port = processes.find((each) => each.name === name)?.controlPort
    return [
      left(name, 18),
      left(fault(stats?.fault, paint), 11),
      right(perSecond(rates[0]?.[name]), 7),
      right(perSecond(rates[1]?.[name]), 7),
      right(String(reached['bare'] ?? 0), 8),
      right(String(reached['protected'] ?? 0), 8),
      `  ${left(circuit === 'closed' ? paint('green', circuit) : paint('yellow', circuit), 10)}`,
      right(String(port ?? '-'), 7),
    ].join('')
  })
  return [paint('dim', over), paint('bold', head), ...rows]
}

/**
 * @param {import('../services/faults.js').Fault | undefined} current
 * @param {Paint} paint
 */
function fault(current, paint) {
  if (!current || current.mode === 'ok') return paint('green', 'well')
  const rate = current.rate === undefined ? '' : ` ${Math.round(current.rate * 100)} %`
  return paint('red', `${current.mode}${rate}`)
}
