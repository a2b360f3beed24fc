/** Five policies around an async no-op that succeeds: what protection costs when all is well. */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import * as cockatiel from './subjects/cockatiel.js'
import { contractFloor } from './subjects/contract-floor.js'
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'
import * as opossum from './subjects/opossum.js'
import { polluteCockatiel, polluteHoldfast, polluteOpossum } from './subjects/pollution.js'

const callsPerTurn = 10

/** @returns {import('./harness/types.js').Case} */
const opossumCase = () => {
  const breaker = opossum.breakerWithFallback(async () => 1)
  return {
    subject: 'opossum',
    variant: 'timeout, capacity, fallback, no retry',
    call: 'breaker.fire()',
    scope: { breaker },
    close: () => breaker.shutdown(),
  }
}

/**
 * @param {keyof typeof cockatiel.timeouts | false} timeout
 * @returns {import('./harness/types.js').Case}
 */
const cockatielCase = (timeout) => ({
  subject: 'cockatiel',
  ...(timeout === false ? {} : { variant: timeout }),
  call: 'policy.execute(fn)',
  scope: { policy: cockatiel.fivePolicies({ timeout }), fn: async () => 1 },
})

/**
 * @param {Parameters<typeof holdfast.fivePolicies>[0]} [shape]
 * @returns {import('./harness/types.js').Case}
 */
const holdfastCase = (shape) => ({
  subject: 'holdfast',
  call: 'policy.execute(fn)',
  scope: { policy: holdfast.fivePolicies(shape), fn: async () => 1 },
})

const everyone = () => [
  bare(),
  ...floors(),
  contractFloor(),
  holdfastCase(),
  cockatielCase('default wrap'),
  cockatielCase('aggressive, abortOnReturn: false'),
  cockatielCase('cheapest options'),
  opossumCase(),
]

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  { id: 'success', title: 'five policies, success', bytes: true, setup: everyone },
  {
    id: 'polluted',
    title: 'five policies, success, call sites polluted',
    setup: everyone,
    pollute: async () => {
      await polluteHoldfast()
      await polluteCockatiel()
      await polluteOpossum()
    },
  },
  {
    id: 'latency',
    title: 'five policies, success, exact latency percentiles',
    setup: () => [bare(), ...floors(), holdfastCase({ latency: true }), opossumCase()],
  },
  {
    id: 'turns',
    title: 'five policies, success, a turn of the event loop after every 10 calls',
    loop: 'inTurns',
    ops: () => callsPerTurn,
    setup: () =>
      everyone().map((one) => ({
        ...one,
        scope: { ...one.scope, turnOfTheLoop, many: callsPerTurn },
      })),
  },
  {
    id: 'no-timeout',
    title: 'four policies, success, no timeout in the chain',
    bytes: true,
    setup: () => [bare(), ...floors(), holdfastCase({ limited: false }), cockatielCase(false)],
  },
]
