/**
 * How many jobs may run at a time: none while a circuit is open, one while it is tried, and from then on more
 * and more, so that a dependency that has just come back is not knocked down by what has piled up meanwhile.
 */
import type { Clock } from '../../core/clock.ts'

/** The part of a circuit breaker that is looked at. Looking costs nothing: no call is made. */
export interface Circuit {
  readonly state: 'closed' | 'open' | 'half-open' | 'isolated'
  stats(): { readonly retryAfter: number }
}

/** How soon it is looked again, at the latest, in ms: a circuit may be closed by hand. */
const LOOK_AGAIN = 1_000

export class Ramp {
  readonly #clock: Clock
  readonly #circuits: readonly Circuit[]
  readonly #max: number
  readonly #duration: number
  readonly #probes: boolean
  /** When the ramp began; undefined while a circuit is not closed. */
  #since: number | undefined

  constructor(
    clock: Clock,
    circuits: readonly Circuit[],
    {
      max,
      duration,
      probes,
    }: { readonly max: number; readonly duration: number; readonly probes: boolean },
  ) {
    this.#clock = clock
    this.#circuits = circuits
    this.#max = max
    this.#duration = duration
    this.#probes = probes
    this.#since = clock.now()
  }

  /** How many jobs may run at a time now, at least 1. */
  get limit(): number {
    const now = this.#clock.now()
    if (this.#obstacle() !== undefined) return 1
    this.#since ??= now
    if (this.#duration === 0) return this.#max
    const share = (now - this.#since) / this.#duration
    return Math.min(this.#max, Math.max(1, Math.floor(this.#max * share)))
  }

  /** True if jobs may be begun, otherwise in how many ms to ask again. */
  ready(): true | number {
    const obstacle = this.#obstacle()
    if (obstacle === undefined || (obstacle.state === 'half-open' && this.#probes)) return true
    const wait = obstacle.state === 'open' ? obstacle.stats().retryAfter : LOOK_AGAIN
    return Math.min(Math.max(1, wait), LOOK_AGAIN)
  }

  /** How long the circuit that is in the way says that it will be, in ms; undefined if none is. */
  blockedFor(): number | undefined {
    return this.#obstacle()?.stats().retryAfter
  }

  /** A job has failed: half as fast. */
  slowDown(): void {
    if (this.#since === undefined) return
    const now = this.#clock.now()
    this.#since = now - Math.min(now - this.#since, this.#duration) / 2
  }

  /** The circuit that is not closed, the firmest first. Whenever there is one, the ramp begins anew. */
  #obstacle(): Circuit | undefined {
    const closedTo = (state: Circuit['state']): Circuit | undefined =>
      this.#circuits.find((circuit) => circuit.state === state)
    const found = closedTo('isolated') ?? closedTo('open') ?? closedTo('half-open')
    if (found !== undefined) this.#since = undefined
    return found
  }
}
