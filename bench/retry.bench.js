/** Retry where nothing fails, and where two attempts fail and nothing is waited for. */
import pRetry from 'p-retry'
import * as cockatiel from './subjects/cockatiel.js'
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'

const maxRetries = 3
const reset = Object.assign(new Error('reset by peer'), { code: 'ECONNRESET' })

/** A function whose every third call succeeds. The error is always the same: making one is dear. */
const thirdTime = () => {
  let calls = 0
  return async () => {
    calls++
    if (calls % 3 !== 0) throw reset
    return 1
  }
}

/** @param {() => Promise<unknown>} fn */
const handWritten = async (fn) => {
  for (let attempt = 0; ; attempt++) {
    try {
      return await fn()
    } catch (error) {
      if (attempt === maxRetries) throw error
    }
  }
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'no-failure',
    title: 'retry, nothing fails',
    bytes: true,
    setup: () => [
      bare(),
      ...floors(),
      {
        subject: 'holdfast',
        call: 'policy.execute(fn)',
        scope: { policy: holdfast.retry({ maxRetries }), fn: async () => 1 },
      },
      {
        subject: 'cockatiel',
        call: 'policy.execute(fn)',
        scope: {
          policy: cockatiel.retry(cockatiel.handleAll, {
            maxAttempts: maxRetries,
            backoff: new cockatiel.ExponentialBackoff(),
          }),
          fn: async () => 1,
        },
      },
      {
        subject: 'p-retry',
        call: 'pRetry(fn, options)',
        scope: { pRetry, options: { retries: maxRetries }, fn: async () => 1 },
      },
    ],
  },
  {
    id: 'two-failures',
    title: 'retry, two failures without delay, success',
    setup: () => [
      {
        subject: 'bare',
        variant: 'hand-written loop',
        call: 'handWritten(fn)',
        scope: { handWritten, fn: thirdTime() },
      },
      {
        subject: 'holdfast',
        call: 'policy.execute(fn)',
        scope: {
          policy: holdfast.retry({ maxRetries, baseDelay: 0, jitter: 'none' }),
          fn: thirdTime(),
        },
      },
      {
        subject: 'p-retry',
        call: 'pRetry(fn, options)',
        scope: {
          pRetry,
          options: { retries: maxRetries, minTimeout: 0, maxTimeout: 0 },
          fn: thirdTime(),
        },
      },
      {
        subject: 'cockatiel',
        call: 'policy.execute(fn)',
        scope: {
          policy: cockatiel.retry(cockatiel.handleAll, {
            maxAttempts: maxRetries,
            backoff: new cockatiel.ConstantBackoff(0),
          }),
          fn: thirdTime(),
        },
      },
    ],
  },
]
