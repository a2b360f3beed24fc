/** Ten thousand calls in flight at once: whatever grows with them shows here. */
import * as cockatiel from './subjects/cockatiel.js'
import { ContractFloor } from './subjects/contract-floor.js'
import * as holdfast from './subjects/holdfast.js'
import * as opossum from './subjects/opossum.js'

/** A function whose calls stay pending until they are all settled at once. */
function pendingCalls() {
  /** @type {Array<(value: number) => void>} */
  let waiting = []
  const fn = () =>
    new Promise((resolve) => {
      waiting.push(resolve)
    })
  const settle = () => {
    const settled = waiting
    waiting = []
    for (const resolve of settled) resolve(1)
  }
  return { fn, settle }
}

/**
 * @param {Pick<import('./harness/types.js').Case, 'subject' | 'variant' | 'call' | 'close'>} shown
 * @param {number} many
 * @param {(fn: () => Promise<unknown>) => Record<string, unknown>} [scope]
 * @returns {import('./harness/types.js').Case}
 */
const caseOf = (shown, many, scope = (fn) => ({ fn })) => {
  const { fn, settle } = pendingCalls()
  return {
    ...shown,
    scope: { many, settle, ...scope(fn) },
    expect: (sum) => sum === many,
  }
}

const room = 1_000_000
/** Starting so many calls takes some peers seconds: nobody's timeout is to fire meanwhile. */
const limit = 600_000

/** @param {number} many */
const bare = (many) => caseOf({ subject: 'bare', call: 'fn()' }, many)

/** @param {number} many */
const opossumCase = (many) => {
  const { fn, settle } = pendingCalls()
  const breaker = opossum.breakerWithFallback(fn, { capacity: room, timeout: limit })
  return {
    subject: 'opossum',
    call: 'breaker.fire()',
    scope: { breaker, many, settle },
    expect: (/** @type {number} */ sum) => sum === many,
    close: () => breaker.shutdown(),
  }
}

const policyCall = 'policy.execute(fn)'
const signalCall = 'policy.execute(fn, { signal })'

/** @param {number} many */
const calls = (many) => [
  bare(many),
  caseOf({ subject: 'floor:contract', call: policyCall }, many, (fn) => ({
    fn,
    policy: new ContractFloor(many),
  })),
  caseOf({ subject: 'holdfast', call: policyCall }, many, (fn) => ({
    fn,
    policy: holdfast.fivePolicies({ maxConcurrent: room, limit }),
  })),
  caseOf({ subject: 'cockatiel', variant: 'default wrap', call: policyCall }, many, (fn) => ({
    fn,
    policy: cockatiel.fivePolicies({ maxConcurrent: room, limit }),
  })),
  opossumCase(many),
]

/** @param {number} many */
const sharedSignal = (many) => {
  const { signal } = new AbortController()
  const policy = () => holdfast.fivePolicies({ maxConcurrent: room, limit })
  const shown = { subject: 'cockatiel', variant: 'one signal', call: 'policy.execute(fn, signal)' }
  return [
    bare(many),
    caseOf({ subject: 'holdfast', variant: 'no signal', call: policyCall }, many, (fn) => ({
      fn,
      policy: policy(),
    })),
    caseOf({ subject: 'holdfast', variant: 'one signal', call: signalCall }, many, (fn) => ({
      fn,
      signal,
      policy: policy(),
    })),
    caseOf(shown, many, (fn) => ({
      fn,
      signal,
      policy: cockatiel.fivePolicies({ maxConcurrent: room, limit }),
    })),
  ]
}

/** @type {(plan: import('./harness/types.js').Plan) => number} */
const ops = ({ inFlight }) => inFlight

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'calls',
    title: 'five policies, many calls in flight, per call',
    loop: 'inFlight',
    ops,
    setup: ({ inFlight }) => calls(inFlight),
  },
  {
    id: 'shared-signal',
    title: "five policies, many calls in flight, one caller's signal, per call",
    loop: 'inFlight',
    ops,
    setup: ({ inFlight }) => sharedSignal(inFlight),
  },
]
