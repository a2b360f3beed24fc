/**
 * Plays the story: starts the services and the shops, opens the doors, brings the faults, and
 * keeps the books. What it hands back is turned into figures by report.js.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serviceNames, setUp, shops } from './stage.js'
import { tellStory } from './story.js'
import { createCustomers, planVisits, until } from './traffic.js'

/**
 * @typedef {import('./stage.js').ShopName} ShopName
 * @typedef {import('./stage.js').Snapshot} Snapshot
 * @typedef {import('./stage.js').Stage} Stage
 */

/** Everything that a run is made of, at full length. */
const scene = {
  customersPerSecond: 20,
  orderShare: 0.25,
  invoiceShare: 0.02,
  // How long customers wait: less for a page than for an order.
  patience: { product: 5_000, order: 6_000, invoice: 6_000 },
  // Requests that a front end works on at once; both have the same.
  workers: 12,
  // Customers, one after the other, before the doors open; then so long a time that does not count.
  rehearsal: 40,
  warmUp: 1_000,
  refresh: 250,
  // How long the show waits, once all customers have left, for what was accepted to be done.
  drain: 40_000,
}

/**
 * @typedef {object} Frame - What a view shows.
 * @property {number} now - ms of the story.
 * @property {number} total
 * @property {import('./story.js').ToldPhase} phase
 * @property {Snapshot} snapshot
 * @property {Snapshot} before - The snapshot of about `span` ago, for rates.
 * @property {number} span - ms.
 * @property {Record<ShopName, import('./traffic.js').Request[]>} requests - All that ended so far.
 *
 * @typedef {object} Show - What the audience may want to know.
 * @property {(started: readonly import('./processes.js').Started[]) => void} onStart
 * @property {(phase: import('./story.js').ToldPhase) => void} onPhase
 * @property {(frame: Frame) => void} onFrame
 *
 * @typedef {object} Book
 * @property {Snapshot} start
 * @property {Snapshot} settled - When the phase has shown its face: circuits open, queues full.
 * @property {Snapshot} end
 * @property {number} hiccup - How late this process was at worst, in ms: the machine's own doing.
 *
 * @typedef {object} Effects - What the calls have done to the world.
 * @property {Record<string, number>} charged - How often each order was.
 * @property {number} repeats - Charges that were sent again, and not made again.
 * @property {string[]} reserved
 * @property {string[]} mailed
 * @property {Array<{ id: string, receipt: string | null }>} onRecord
 *
 * @typedef {object} Played
 * @property {import('./story.js').ToldPhase[]} story
 * @property {Book[]} books - By phase.
 * @property {Snapshot} end
 * @property {Effects} effects
 * @property {{ peak: number, emptyAt: number | null }} backlog - Charges at most; ms of the story.
 * @property {Record<ShopName, import('./traffic.js').Request[]>} requests - Warm-up included.
 * @property {number} settling - ms from the start of a phase to its `settled`.
 * @property {typeof scene} scene - At the pace of this run.
 */

/**
 * @param {object} options
 * @param {import('./processes.js').Processes} options.processes
 * @param {number} options.seed
 * @param {number} options.pace - 1 for the full story, 0.25 for the fast one.
 * @param {AbortSignal} options.signal - Ends it at once.
 * @param {Show} options.show
 * @returns {Promise<Played>}
 */
export async function play({ processes, seed, pace, signal, show }) {
  const story = tellStory(pace)
  const total = story.at(-1)?.end ?? 0
  const paced = atPace(scene, pace)
  const stage = await setUp(processes, { seed, pace, workers: paced.workers, signal })
  show.onStart(processes.started)

  /** @type {Played['requests']} */
  const requests = { bare: [], protected: [] }
  const { customersPerSecond: perSecond, orderShare, invoiceShare, patience, ...before } = paced
  const { rehearsal, warmUp } = before
  const day = { seed, perSecond, orderShare, invoiceShare }
  const customers = createCustomers({
    shops: stage.ports,
    patience,
    signal,
    onEnd: (shop, request) => requests[/** @type {ShopName} */ (shop)].push(request),
  })
  const early = planVisits({ ...day, name: 'rehearsal', from: -20_000, to: -warmUp })
  await customers.rehearse(early.slice(0, rehearsal))

  const start = performance.now() + warmUp
  const now = () => performance.now() - start
  const over = new AbortController()
  const backlog = { peak: 0, emptyAt: /** @type {number | null} */ (null) }
  const watching = watch({ stage, story, total, now, requests, backlog, show, signal: over.signal })

  try {
    const [books] = await Promise.all([
      bringFaults({ stage, story, start, pace, show, signal }),
      customers.come(planVisits({ ...day, name: 'order', from: -warmUp, to: total }), start),
    ])
    await drained(stage, paced.drain, signal)
    signal.throwIfAborted()
    const end = await stage.snapshot()
    const effects = await readEffects(stage)
    const told = { story, books, end, effects, backlog, requests }
    return { ...told, settling: settling * pace, scene: paced }
  } finally {
    over.abort()
    customers.leave()
    await watching
  }
}

/**
 * Waits until nothing is left of what was begun or accepted, or it has taken too long.
 *
 * @param {Stage} stage
 * @param {number} limit - ms.
 * @param {AbortSignal} signal
 */
async function drained(stage, limit, signal) {
  const atLatest = performance.now() + limit
  while (performance.now() < atLatest && !signal.aborted) {
    const { workers, backlog } = (await stage.snapshot()).shops.protected
    if (workers.busy + workers.waiting + backlog.charges + backlog.mails === 0) return
    await until(performance.now() + 50, signal)
  }
}

/**
 * @param {Stage} stage
 * @returns {Promise<Effects>}
 */
async function readEffects(stage) {
  const [payment, inventory, notification, ...onRecord] = await Promise.all([
    stage.effects('payment'),
    stage.effects('inventory'),
    stage.effects('notification'),
    ...shops.map((shop) => stage.ordersOf(shop)),
  ])
  const { charged, repeats } = payment
  const { reserved } = inventory
  return { charged, repeats, reserved, mailed: notification.mailed, onRecord: onRecord.flat() }
}

/** How long a phase takes to show its face: circuits open, queues fill. Full length, in ms. */
const settling = 2_500

/**
 * @param {typeof scene} full
 * @param {number} pace
 */
function atPace(full, pace) {
  return {
    ...full,
    customersPerSecond: full.customersPerSecond / pace,
    patience: {
      product: full.patience.product * pace,
      order: full.patience.order * pace,
      invoice: full.patience.invoice * pace,
    },
  }
}

/**
 * @param {{ stage: Stage, story: Played['story'], start: number, pace: number, show: Show, signal: AbortSignal }} options
 */
async function bringFaults({ stage, story, start, pace, show, signal }) {
  /** @type {Book[]} */
  const books = []
  /** @type {Record<string, import('../services/faults.js').Fault>} */
  let faults = {}
  const lateness = monitorEventLoopDelay({ resolution })
  lateness.enable()

  for (const phase of story) {
    await until(start + phase.start, signal)
    lateness.reset()
    const [before] = await Promise.all([stage.snapshot(), setFaults(stage, faults, phase.faults)])
    faults = phase.faults
    show.onPhase(phase)

    await until(start + phase.start + settling * pace, signal)
    const settled = await stage.snapshot()

    await until(start + phase.end, signal)
    const hiccup = Math.max(0, lateness.max / 1e6 - resolution)
    signal.throwIfAborted()
    books.push({ start: before, settled, end: await stage.snapshot(), hiccup })
  }
  return books
}

/** How often this process looks whether it is late, in ms. */
const resolution = 10

/**
 * @param {Stage} stage
 * @param {Record<string, import('../services/faults.js').Fault>} now
 * @param {Record<string, import('../services/faults.js').Fault>} next
 */
async function setFaults(stage, now, next) {
  const changed = serviceNames.filter(
    (service) => JSON.stringify(now[service]) !== JSON.stringify(next[service]),
  )
  await Promise.all(changed.map((service) => stage.tell(service, next[service] ?? { mode: 'ok' })))
}

/**
 * Shows how it goes, a few times a second, until the signal aborts.
 *
 * @param {{ stage: Stage, story: Played['story'], total: number, now: () => number, requests: Played['requests'], backlog: Played['backlog'], show: Show, signal: AbortSignal }} options
 */
async function watch({ stage, story, total, now, requests, backlog, show, signal }) {
  /** @type {Array<{ at: number, snapshot: Snapshot }>} */
  const past = []

  while (!signal.aborted) {
    const snapshot = await stage.snapshot().catch(() => undefined)
    if (!snapshot || signal.aborted) return
    const at = now()
    const { charges } = snapshot.shops.protected.backlog
    backlog.peak = Math.max(backlog.peak, charges)
    backlog.emptyAt = charges > 0 ? null : (backlog.emptyAt ?? at)
    past.push({ at, snapshot })
    if (past.length > 5) past.shift()
    const oldest = past[0] ?? { at, snapshot }
    const phase = story.findLast((each) => each.start <= at) ?? story[0]
    if (phase && at >= 0) {
      const span = at - oldest.at
      show.onFrame({ now: at, total, phase, snapshot, before: oldest.snapshot, span, requests })
    }
    await until(performance.now() + scene.refresh, signal)
  }
}
