/** A rate limit that nobody reaches, and one that is used up. */
import Bottleneck from 'bottleneck'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'

const plenty = 1_000_000_000

/** @type {import('./harness/types.js').Work['setup']} */
const free = () => {
  const bucket = holdfast.rateLimiter({ limit: plenty })
  const sliding = holdfast.rateLimiter({ limit: plenty, algorithm: 'sliding-window', interval: 1 })
  const flexible = new RateLimiterMemory({ points: plenty, duration: 1 })
  const bottleneck = new Bottleneck({
    reservoir: plenty,
    reservoirRefreshAmount: plenty,
    reservoirRefreshInterval: 1_000,
  })
  const fn = async () => 1
  return [
    bare(),
    ...floors(),
    { subject: 'holdfast', call: 'policy.execute(fn)', scope: { policy: bucket, fn } },
    {
      subject: 'holdfast',
      variant: 'sliding window',
      call: 'policy.execute(fn)',
      scope: { policy: sliding, fn: async () => 1 },
    },
    {
      subject: 'rate-limiter-flexible',
      variant: 'counts, does not call',
      call: "limiter.consume('key')",
      scope: { limiter: flexible },
      expect: (/** @type {{ consumedPoints: number }} */ found) => found.consumedPoints > 0,
    },
    {
      subject: 'bottleneck',
      call: 'limiter.schedule(fn)',
      scope: { limiter: bottleneck, fn: async () => 1 },
      close: () => void bottleneck.disconnect(),
    },
  ]
}

/** @type {import('./harness/types.js').Work['setup']} */
const refused = () => {
  const hour = 3_600_000
  const bucket = holdfast.rateLimiter({ limit: 1, interval: hour })
  void bucket.execute(() => 1)
  const flexible = new RateLimiterMemory({ points: 1, duration: 3_600 })
  void flexible.consume('key')
  return [
    { ...bare(), expect: (/** @type {unknown} */ outcome) => outcome === undefined },
    {
      subject: 'holdfast',
      call: 'policy.execute(fn)',
      scope: { policy: bucket, fn: async () => 1 },
      expect: (/** @type {any} */ error) => error.code === 'ERR_RATE_LIMITED',
    },
    {
      subject: 'rate-limiter-flexible',
      variant: 'rejects with a plain object',
      call: "limiter.consume('key')",
      scope: { limiter: flexible },
      expect: (/** @type {any} */ found) => found.msBeforeNext > 0,
    },
  ]
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  { id: 'free', title: 'rate limiter with room', bytes: true, setup: free },
  { id: 'refused', title: 'rate limit used up, rejection caught', loop: 'caught', setup: refused },
]
