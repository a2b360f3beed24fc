/** A fallback that is not needed, and one that answers. */
import * as cockatiel from './subjects/cockatiel.js'
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'
import * as opossum from './subjects/opossum.js'

const down = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
const failing = () => async () => {
  throw down
}

const handWritten = async (/** @type {() => Promise<unknown>} */ fn) => {
  try {
    return await fn()
  } catch {
    return 0
  }
}

/**
 * @param {() => () => Promise<unknown>} callee
 * @returns {import('./harness/types.js').Case[]}
 */
const everyone = (callee) => {
  // A circuit that opened would answer without calling the function.
  const breaker = opossum
    .breaker(callee(), { timeout: false, volumeThreshold: Number.MAX_SAFE_INTEGER })
    .fallback(() => 0)
  return [
    {
      subject: 'holdfast',
      call: 'policy.execute(fn)',
      scope: { policy: holdfast.fallback(() => 0), fn: callee() },
    },
    {
      subject: 'cockatiel',
      call: 'policy.execute(fn)',
      scope: { policy: cockatiel.fallback(cockatiel.handleAll, 0), fn: callee() },
    },
    {
      subject: 'opossum',
      variant: 'timeout: false',
      call: 'breaker.fire()',
      scope: { breaker },
      close: () => breaker.shutdown(),
    },
  ]
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'success',
    title: 'fallback, not needed',
    bytes: true,
    setup: () => [bare(), ...floors(), ...everyone(() => async () => 1)],
  },
  {
    id: 'failing',
    title: 'fallback, the function fails',
    expect: (outcome) => outcome === 0,
    setup: () => [
      {
        subject: 'bare',
        variant: 'try and catch',
        call: 'handWritten(fn)',
        scope: { handWritten, fn: failing() },
      },
      ...everyone(failing),
    ],
  },
]
