/**
 * What Holdfast has to reach, as data. The ratios are those of one run: of CPU time per call where
 * nothing else is said, `bytes` of memory held per call in flight.
 *
 * `of`: Holdfast takes at most so many times what that subject takes.
 * `fasterThan`: that subject takes at least so many times what Holdfast takes.
 * `rateOf`: Holdfast does at least such a share of what that subject does in a second, by wall time.
 *
 * @typedef {object} Bar
 * @property {string} work `<suite>/<work>`
 * @property {string} [row] Holdfast's variant, where there is more than one.
 * @property {string} [of]
 * @property {string} [fasterThan]
 * @property {string} [rateOf]
 * @property {number} [atMost]
 * @property {number} [atLeast]
 * @property {number} [bytes]
 */

/** @type {Bar[]} */
export const bars = [
  { work: 'pipeline/success', of: 'bare', atMost: 3.5 },
  { work: 'pipeline/success', fasterThan: 'cockatiel (default wrap)', atLeast: 45 },
  { work: 'pipeline/success', fasterThan: 'cockatiel (cheapest options)', atLeast: 15 },
  {
    work: 'pipeline/success',
    fasterThan: 'opossum (timeout, capacity, fallback, no retry)',
    atLeast: 3.5,
  },
  { work: 'pipeline/polluted', of: 'bare', atMost: 4.5 },
  { work: 'pipeline/latency', of: 'bare', atMost: 6 },
  { work: 'pipeline/no-timeout', of: 'bare', atMost: 2.2 },
  { work: 'in-flight/calls', of: 'bare', atMost: 3 },
  {
    work: 'in-flight/shared-signal',
    row: 'one signal',
    of: 'holdfast (no signal)',
    atMost: 1.5,
  },
  { work: 'circuit-breaker/consecutive', of: 'bare', atMost: 2 },
  { work: 'circuit-breaker/consecutive', fasterThan: 'cockatiel', atLeast: 1.5 },
  { work: 'circuit-breaker/count-window', of: 'bare', atMost: 2 },
  { work: 'circuit-breaker/count-window', fasterThan: 'cockatiel', atLeast: 1.5 },
  { work: 'circuit-breaker/time-window', of: 'bare', atMost: 2 },
  { work: 'circuit-breaker/time-window', fasterThan: 'cockatiel', atLeast: 1.5 },
  { work: 'circuit-breaker/open', of: 'bare', atMost: 22 },
  { work: 'circuit-breaker/open', fasterThan: 'cockatiel', atLeast: 5 },
  { work: 'circuit-breaker/open', fasterThan: 'opossum', atLeast: 5 },
  { work: 'retry/no-failure', of: 'bare', atMost: 2 },
  { work: 'retry/no-failure', fasterThan: 'cockatiel', atLeast: 1.5 },
  { work: 'retry/two-failures', of: 'bare (hand-written loop)', atMost: 1.2 },
  { work: 'timeout/in-time', of: 'bare', atMost: 3 },
  { work: 'timeout/in-time', fasterThan: 'opossum', atLeast: 4 },
  { work: 'timeout/in-time', fasterThan: 'cockatiel (default)', atLeast: 40 },
  { work: 'timeout/in-time', fasterThan: 'p-timeout', atLeast: 60 },
  { work: 'bulkhead/free', of: 'bare', atMost: 2 },
  { work: 'bulkhead/free', fasterThan: 'cockatiel', atLeast: 1.5 },
  { work: 'bulkhead/queued', of: 'bare (Promise.all)', atMost: 4 },
  { work: 'bulkhead/queued', fasterThan: 'p-limit', atLeast: 2.2 },
  { work: 'pool/acquire', of: 'bare', atMost: 2.6 },
  { work: 'pool/acquire', fasterThan: 'generic-pool', atLeast: 6 },
  { work: 'pool/acquire', fasterThan: 'lightning-pool', atLeast: 6 },
  { work: 'pool/use', of: 'bare', atMost: 1.9 },
  { work: 'pool/use', fasterThan: 'generic-pool', atLeast: 9 },
  { work: 'pool/use', fasterThan: 'lightning-pool', atLeast: 9 },
  { work: 'pool/contended', of: 'bare (Promise.all)', atMost: 3.3 },
  { work: 'pool/contended', fasterThan: 'generic-pool', atLeast: 4 },
  { work: 'pool/contended', fasterThan: 'lightning-pool', atLeast: 4 },
  { work: 'rate-limiter/free', fasterThan: 'bottleneck', atLeast: 500 },
  { work: 'adaptive-throttle/accepting', of: 'bare', atMost: 3.5 },
  { work: 'memory/per-call', bytes: 800 },
  { work: 'http/requests', of: 'bare', atMost: 1.1 },
  { work: 'fetch/fetch', rateOf: 'bare', atLeast: 0.95 },
  {
    work: 'fetch/clients',
    row: 'around undici',
    rateOf: 'bare (undici request)',
    atLeast: 0.95,
  },
  { work: 'server/requests', rateOf: 'bare', atLeast: 0.95 },
  { work: 'concurrency/map', of: 'bare (one after the other)', atMost: 1.3 },
  { work: 'concurrency/map', fasterThan: 'p-map', atLeast: 9 },
  { work: 'concurrency/limiter', of: 'bare (one after the other)', atMost: 5 },
  { work: 'concurrency/limiter', fasterThan: 'p-limit', atLeast: 3.5 },
  { work: 'batcher/load', of: 'bare (Promise.all, a call per key)', atMost: 2 },
  { work: 'batcher/load', fasterThan: 'dataloader', atLeast: 1 },
  { work: 'batcher/load-many', of: 'bare (Promise.all, a call per key)', atMost: 0.3 },
  { work: 'batcher/load-many', fasterThan: 'dataloader', atLeast: 10 },
  { work: 'batcher/hit', of: 'bare (Promise.all, a call per key)', atMost: 1.1 },
  { work: 'batcher/hit', fasterThan: 'dataloader', atLeast: 2.7 },
  { work: 'stale-cache/fresh', of: 'lru-cache (get, and one promise)', atMost: 2 },
  { work: 'stale-cache/fresh', fasterThan: 'opossum (cache: true)', atLeast: 2 },
  ...['plain', 'plain-10', 'tls', 'tls-10'].map((id) => ({
    work: `headline-postgres/${id}`,
    row: 'pool.use',
    fasterThan: 'bare (a new connection each)',
    atLeast: 10,
  })),
  {
    work: 'headline-concurrency/requests',
    row: '50 at a time',
    fasterThan: 'bare (one after the other)',
    atLeast: 10,
  },
  {
    work: 'headline-batching/rows',
    row: 'load: 1 round trip',
    fasterThan: 'bare (a query for each key, one after the other: 200 round trips)',
    atLeast: 10,
  },
]
