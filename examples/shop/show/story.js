/**
 * The minute that both shops go through. Seconds are those of the full story; `--fast` tells it in
 * a quarter of the time, with customers coming four times as often and every limit a quarter.
 */

/**
 * @typedef {object} Phase
 * @property {string} id
 * @property {string} name
 * @property {number} seconds
 * @property {string} tells - What happens, in one line.
 * @property {Record<string, import('../services/faults.js').Fault>} faults - By service; all others are well.
 * @property {'product' | 'order'} [hurts] - Which requests depend on the faulty service.
 */

/** @type {readonly Phase[]} */
export const phases = [
  {
    id: 'healthy',
    name: 'healthy',
    seconds: 7,
    tells: 'Every service answers in milliseconds.',
    faults: {},
  },
  {
    id: 'payment-slow',
    name: 'payment slow',
    seconds: 9,
    tells: 'Every second call to payment takes 8 seconds.',
    faults: { payment: { mode: 'slow', delay: 8_000, rate: 0.5 } },
    hurts: 'order',
  },
  {
    id: 'payment-recovers',
    name: 'payment back',
    seconds: 3,
    tells: 'Payment is well again.',
    faults: {},
  },
  {
    id: 'catalogue-failing',
    name: 'catalogue failing',
    seconds: 8,
    tells: 'The catalogue fails 70 % of its calls; the replica, under load, 20 %.',
    faults: {
      catalogue: { mode: 'fail', rate: 0.7 },
      'catalogue-replica': { mode: 'fail', rate: 0.2 },
    },
    hurts: 'product',
  },
  {
    id: 'catalogue-recovers',
    name: 'catalogue back',
    seconds: 3,
    tells: 'The catalogue is well again.',
    faults: {},
  },
  {
    id: 'inventory-down',
    name: 'inventory down',
    seconds: 9,
    tells: 'Inventory refuses connections.',
    faults: { inventory: { mode: 'down' } },
    hurts: 'order',
  },
  {
    id: 'inventory-recovers',
    name: 'inventory back',
    seconds: 4,
    tells: 'Inventory is well again.',
    faults: {},
  },
  {
    id: 'payment-hanging',
    name: 'payment hanging',
    seconds: 9,
    tells: 'Payment takes every call and answers none.',
    faults: { payment: { mode: 'hang' } },
    hurts: 'order',
  },
  {
    id: 'recovered',
    name: 'everything back',
    seconds: 8,
    tells: 'Every service is well again. Who still waits for calls that are lost, waits.',
    faults: {},
  },
]

/**
 * The story in real time.
 *
 * @param {number} pace - 1 for the full story, 0.25 for the fast one.
 */
export function tellStory(pace) {
  let start = 0
  return phases.map((phase) => {
    const duration = phase.seconds * 1000 * pace
    const told = { ...phase, start, end: start + duration, faults: atPace(phase.faults, pace) }
    start += duration
    return told
  })
}

/** @typedef {ReturnType<typeof tellStory>[number]} ToldPhase */

/**
 * @param {Phase['faults']} faults
 * @param {number} pace
 */
function atPace(faults, pace) {
  return Object.fromEntries(
    Object.entries(faults).map(([service, fault]) => [
      service,
      fault.delay === undefined ? fault : { ...fault, delay: fault.delay * pace },
    ]),
  )
}
