/** One breaker: closed with each kind of window, and open. */
import * as cockatiel from './subjects/cockatiel.js'
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'
import * as opossum from './subjects/opossum.js'

/** Longer than any run: an open circuit stays open. */
const never = 3_600_000

/**
 * @param {unknown} policy
 * @param {'holdfast' | 'cockatiel'} subject
 * @returns {import('./harness/types.js').Case}
 */
const closed = (subject, policy) => ({
  subject,
  call: 'policy.execute(fn)',
  scope: { policy, fn: async () => 1 },
})

/** @param {import('cockatiel').IBreaker} breaker */
const cockatielBreaker = (breaker) =>
  cockatiel.circuitBreaker(cockatiel.handleAll, { halfOpenAfter: never, breaker })

/** @returns {import('./harness/types.js').Case} */
const opossumClosed = () => {
  const breaker = opossum.breaker(async () => 1, { timeout: false })
  return {
    subject: 'opossum',
    variant: 'timeout: false',
    call: 'breaker.fire()',
    scope: { breaker },
    close: () => breaker.shutdown(),
  }
}

const down = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
const failing = async () => {
  throw down
}

const withoutStack = () => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  const error = new Error('open')
  Error.stackTraceLimit = limit
  return error
}

const settled = Promise.resolve()

/**
 * What refusing costs by itself. A promise that is rejected before anybody listens is entered in the
 * list of unhandled rejections and struck off again, which is dearer than the error; one that is
 * rejected a microtask later finds its listener there.
 *
 * @returns {import('./harness/types.js').Case[]}
 */
const refusals = () => {
  const later = () => {
    const error = withoutStack()
    return new Promise((_resolve, reject) => {
      settled.then(() => reject(error))
    })
  }
  const ways = {
    'error with its stack': async () => {
      throw new Error('open')
    },
    'error without a stack': () => Promise.reject(withoutStack()),
    'error without a stack, a microtask later': later,
  }
  return Object.entries(ways).map(([variant, fn]) => ({
    subject: 'floor:reject',
    variant,
    call: 'fn()',
    scope: { fn },
    expect: (/** @type {Error} */ error) => error.message === 'open',
  }))
}

const openCircuits = async () => {
  const ours = holdfast.circuitBreaker({ failureThreshold: 5, resetTimeout: never })
  const theirs = cockatielBreaker(new cockatiel.ConsecutiveBreaker(5))
  const opossums = opossum.breaker(failing, { resetTimeout: never, timeout: false })
  for (let time = 0; time < 5; time++) {
    await ours.execute(failing).catch(() => {})
    await theirs.execute(failing).catch(() => {})
    await opossums.fire().catch(() => {})
  }
  return [
    { ...bare(), expect: (/** @type {unknown} */ outcome) => outcome === undefined },
    ...refusals(),
    {
      ...closed('holdfast', ours),
      expect: (/** @type {any} */ error) => error.code === 'ERR_CIRCUIT_OPEN',
    },
    {
      ...closed('cockatiel', theirs),
      expect: (/** @type {any} */ error) => error.isBrokenCircuitError === true,
    },
    {
      subject: 'opossum',
      call: 'breaker.fire()',
      scope: { breaker: opossums },
      expect: (/** @type {any} */ error) => error.code === 'EOPENBREAKER',
      close: () => opossums.shutdown(),
    },
  ]
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'consecutive',
    title: 'breaker closed, consecutive failures',
    bytes: true,
    setup: () => [
      bare(),
      ...floors(),
      closed('holdfast', holdfast.circuitBreaker({ failureThreshold: 5 })),
      closed('cockatiel', cockatielBreaker(new cockatiel.ConsecutiveBreaker(5))),
      opossumClosed(),
    ],
  },
  {
    id: 'count-window',
    title: 'breaker closed, failure rate over the last 100 calls',
    bytes: true,
    setup: () => {
      const window = holdfast.countWindow(100)
      const theirs = new cockatiel.CountBreaker({ threshold: 0.5, size: 100 })
      return [
        bare(),
        ...floors(),
        closed('holdfast', holdfast.circuitBreaker({ failureRate: 0.5, window })),
        closed('cockatiel', cockatielBreaker(theirs)),
      ]
    },
  },
  {
    id: 'time-window',
    title: 'breaker closed, failure rate over the last 10 s',
    bytes: true,
    setup: () => {
      const window = holdfast.timeWindow(10_000)
      const theirs = new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 10_000 })
      return [
        bare(),
        ...floors(),
        closed('holdfast', holdfast.circuitBreaker({ failureRate: 0.5, window })),
        closed('cockatiel', cockatielBreaker(theirs)),
        opossumClosed(),
      ]
    },
  },
  {
    id: 'open',
    title: 'breaker open, rejection caught',
    loop: 'caught',
    setup: openCircuits,
  },
]
