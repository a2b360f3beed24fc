/** What one call in flight holds in memory, the promise of the function itself included. */
import * as cockatiel from './subjects/cockatiel.js'
import { ContractFloor } from './subjects/contract-floor.js'
import * as holdfast from './subjects/holdfast.js'
import * as opossum from './subjects/opossum.js'

const room = 1_000_000
/** Starting so many calls takes some peers seconds: nobody's timeout is to fire meanwhile. */
const limit = 600_000

/**
 * Cockatiel starts a call in time that grows with the calls in flight (its timeouts listen on one
 * signal); a hundred thousand of them would take minutes. The bytes per call do not depend on it.
 */
const fewer = 10_000

/**
 * @param {string} subject
 * @param {number} count
 * @param {(fn: () => Promise<unknown>) => { start: () => Promise<unknown>, close?: () => void }} guarded
 * @param {string} [variant]
 * @returns {import('./harness/types.js').Case}
 */
const caseOf = (subject, count, guarded, variant) => {
  /** @type {Array<(value: number) => void>} */
  const waiting = []
  const fn = () =>
    new Promise((resolve) => {
      waiting.push(resolve)
    })
  const { start, close } = guarded(fn)
  const settle = () => {
    for (const resolve of waiting.splice(0)) resolve(1)
  }
  return {
    subject,
    ...(variant === undefined ? {} : { variant }),
    call: 'start()',
    scope: { start, settle, count },
    ...(close === undefined ? {} : { close }),
  }
}

/** @param {Parameters<typeof holdfast.fivePolicies>[0]} shape */
const ours = (shape) => (/** @type {() => Promise<unknown>} */ fn) => {
  const policy = holdfast.fivePolicies({ ...shape, maxConcurrent: room, limit })
  return { start: () => policy.execute(fn) }
}

/** @param {Parameters<typeof cockatiel.fivePolicies>[0]} shape */
const theirs = (shape) => (/** @type {() => Promise<unknown>} */ fn) => {
  const policy = cockatiel.fivePolicies({ ...shape, maxConcurrent: room, limit })
  return { start: () => policy.execute(fn) }
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'per-call',
    title: 'five policies, bytes held per call in flight',
    kind: 'memory',
    setup: ({ quick }) => {
      const count = quick ? 2_000 : 100_000
      return [
        caseOf('bare', count, (fn) => ({ start: fn })),
        caseOf('floor:async layer', count, (fn) => ({ start: async () => await fn() })),
        caseOf('floor:contract', count, (fn) => {
          const stack = new ContractFloor(count)
          return { start: () => stack.execute(fn) }
        }),
        caseOf('holdfast', count, ours({})),
        caseOf('holdfast', count, ours({ limited: false }), 'no timeout'),
        caseOf(
          'holdfast',
          count,
          (fn) => {
            const policy = holdfast.fivePolicies({ maxConcurrent: room, limit })
            return {
              start: () =>
                policy.execute((context) => {
                  context.signal
                  return fn()
                }),
            }
          },
          'signal read',
        ),
        caseOf('cockatiel', Math.min(count, fewer), theirs({}), 'default wrap'),
        caseOf(
          'cockatiel',
          Math.min(count, fewer),
          theirs({ timeout: 'cheapest options' }),
          'cheapest options',
        ),
        caseOf('opossum', count, (fn) => {
          const breaker = opossum.breakerWithFallback(fn, { capacity: room, timeout: limit })
          return { start: () => breaker.fire(), close: () => breaker.shutdown() }
        }),
      ]
    },
  },
]
