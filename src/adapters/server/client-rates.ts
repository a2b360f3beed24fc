/**
 * How much each client may ask for: a bucket of tokens by whatever tells clients apart. Bounded, and nobody
 * is forgotten before the bucket is full again: a flood of strangers must not give anybody a new one.
 */
import { quiet } from '../../core/events.ts'
import {
  type Check,
  type Checks,
  duration,
  fn,
  number,
  optional,
  positiveInteger,
  readOptions,
} from '../../core/options.ts'
import { aboveZero } from '../../policies/rate-limiter/options.ts'
import { TokenBucket } from '../../policies/rate-limiter/token-bucket.ts'
import type { GuardedRequest } from './request.ts'

/** How much one client may ask for. */
export interface ClientLimit {
  /** Who asks: a tenant, an API key, an address. Requests for which it gives nothing are not limited. */
  readonly client: (request: GuardedRequest) => string | undefined
  /** Requests per interval, above 0. */
  readonly limit: number
  /** What `limit` is per, in ms, above 0. @default 1_000 */
  readonly interval?: number | undefined
  /** Requests that may come at once after a rest, 1 at least. @default limit, 1 at least */
  readonly burst?: number | undefined
  /** Most clients that are told apart; further ones share one bucket. @default 10_000 */
  readonly maxClients?: number | undefined
}

const checks: Checks<ClientLimit> = {
  client: fn,
  limit: aboveZero,
  interval: optional(duration({ zero: false })),
  burst: optional(number(1)),
  maxClients: optional(positiveInteger),
}

/** What the limit of clients may be. */
export const clientLimitCheck: Check = {
  expected: 'client, limit and what goes with them',
  fault: (value) => {
    readOptions('overloadGuard: perClient', value as ClientLimit, checks)
    return undefined
  },
}

/** How many of the oldest are looked at when room is needed: a bound on the work of one request. */
const MOST_LOOKED_AT = 16

export class ClientRates {
  readonly #client: ClientLimit['client']
  readonly #rate: { readonly limit: number; readonly interval: number; readonly burst: number }
  readonly #maxClients: number
  /** In order of use, oldest first. */
  readonly #buckets = new Map<string, TokenBucket>()
  #shared: TokenBucket | undefined

  constructor({ client, limit, interval = 1_000, burst, maxClients = 10_000 }: ClientLimit) {
    this.#client = client
    this.#rate = { limit, interval, burst: burst ?? Math.max(1, limit) }
    this.#maxClients = maxClients
  }

  /** How long this client has to wait, in ms; 0 if it may pass, which is counted. */
  wait(request: GuardedRequest, now: number): number {
    const client = this.#clientOf(request)
    if (client === undefined) return 0
    const bucket = this.#bucketOf(client, now)
    const wait = bucket.wait(1, 0, now)
    if (wait === 0) bucket.take(1, now)
    return wait
  }

  /** Somebody else's mistake must not decide who is served. */
  #clientOf(request: GuardedRequest): string | undefined {
    try {
      const client: unknown = quiet(this.#client(request))
      return typeof client === 'string' ? client : undefined
    } catch {
      return undefined
    }
  }

  #bucketOf(client: string, now: number): TokenBucket {
    const known = this.#buckets.get(client)
    if (known === undefined && this.#buckets.size >= this.#maxClients && !this.#makeRoom(now)) {
      this.#shared ??= new TokenBucket(this.#rate, now)
      return this.#shared
    }
    const bucket = known ?? new TokenBucket(this.#rate, now)
    if (known !== undefined) this.#buckets.delete(client)
    this.#buckets.set(client, bucket)
    return bucket
  }

  #makeRoom(now: number): boolean {
    let looked = 0
    for (const [client, bucket] of this.#buckets) {
      if (++looked > MOST_LOOKED_AT) return false
      if (bucket.available(now) >= bucket.capacity) return this.#buckets.delete(client)
    }
    return false
  }
}
