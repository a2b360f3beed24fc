/**
 * Makes resources: each `create` under a limit, paced by backoff while it fails, under the breaker if
 * there is one. What arrives after its limit is destroyed, and keeps its place until then.
 */
import { outside } from '../../core/ambient.ts'
import { inNextTurn, type Timer } from '../../core/clock.ts'
import { CircuitOpenError, RejectedError } from '../../core/errors.ts'
import { LazySignal } from '../../core/lazy-signal.ts'
import { begin, bounded, tooLong } from './hook.ts'
import type { Member } from './member.ts'
import type { CreateContext, Settings } from './options.ts'

/** Whoever wants resources. */
export interface Orderer<R> {
  readonly phase: 'open' | 'draining' | 'closed'
  /** Takes a place for a resource, in the given round of creations. */
  reserve(round: number): Member<R>
  arrived(member: Member<R>, resource: R): void
  /** It came too late, and has a place still. */
  arrivedLate(member: Member<R>, resource: R): void
  failed(member: Member<R>, error: unknown): void
  /** Nothing comes any more: the place is free. */
  gaveUp(member: Member<R>): void
  broke(member: Member<R>, error: unknown): void
  /** The pause after a failure is over. */
  mayMake(): void
}

export class Maker<R> {
  /** Rounds of creations that failed, since one succeeded. */
  failures = 0
  lastFailure: unknown = undefined
  /** Creations under way that have not failed: one that hangs past its limit is not hoped for. */
  hopeful = 0
  #round = 0
  #notBefore = 0
  #previousDelay = 0
  #pause: Timer | undefined
  readonly #settings: Settings<R>
  readonly #orderer: Orderer<R>
  /** Rounds in a row of which one broke before anybody used it. */
  #stillborn = 0

  constructor(settings: Settings<R>, orderer: Orderer<R>) {
    this.#settings = settings
    this.#orderer = orderer
  }

  /** Makes up to `wanted`, as far as the pace allows. `awaited`: somebody waits for them. */
  order(wanted: number, underWay: number, awaited: boolean): void {
    const { failures } = this
    if (failures > 0 && underWay > 0) return
    const pause = this.#notBefore - this.#settings.clock.now()
    if (pause > 0 && (failures > 0 || this.#stillborn > 1)) return this.#wait(pause, awaited)
    // One at a time until it works again.
    let more = failures > 0 ? Math.min(1, wanted) : wanted
    // What `create` calls may close the pool: nothing is begun after that.
    for (; more > 0 && this.#orderer.phase !== 'closed'; more--) {
      this.#make(this.#orderer.reserve(this.#round))
    }
  }

  /** Somebody new has come. If it was the breaker that refused, asking it again costs nothing. */
  knock(): void {
    if (this.lastFailure instanceof RejectedError) this.#notBefore = 0
  }

  /** Nothing more is wanted. */
  rest(): void {
    this.#pause?.cancel()
    this.#pause = undefined
  }

  /** Notes a failure. Creations that were under way together are one failure. */
  fail(member: Member<R>, error: unknown): void {
    this.lastFailure = error
    this.hopeful--
    if (member.round !== this.#round) return
    this.#round++
    this.failures++
    const wait = error instanceof CircuitOpenError ? error.retryAfter : 0
    this.#pace(this.failures, wait === Number.POSITIVE_INFINITY ? 0 : wait)
  }

  /**
   * One broke by itself. Another takes its place at once; but a server that takes connections only to hang
   * up must not be called in a loop, so when that broke unused as well there is a pause.
   */
  #noteBroken(member: Member<R>, error: unknown): void {
    const isHere = member.place.name !== 'destroying' && member.place.name !== 'gone'
    if (!isHere || member.verdict !== undefined || member.round !== this.#round) return
    const { clock } = this.#settings
    const wasReady = member.place.name !== 'creating'
    if (member.uses > 0 || (wasReady && clock.now() - member.usedAt > infancy)) {
      this.#stillborn = 0
      return
    }
    this.#round++
    this.lastFailure = error
    if (++this.#stillborn > 1) this.#pace(this.#stillborn - 1, 0)
  }

  /** Nothing is made before the next pause is over, nor within `atLeast`. */
  #pace(failures: number, atLeast: number): void {
    const { createBackoff, random, clock } = this.#settings
    let delay = 0
    try {
      delay = createBackoff(failures, { random, previous: this.#previousDelay })
    } catch {
      // A broken backoff is none: the longest usual pause is safe.
    }
    if (!(delay > 0 && delay < Number.POSITIVE_INFINITY)) delay = delay === 0 ? 0 : 5_000
    this.#previousDelay = delay
    // Even without a pause there is a turn: what fails at once would keep the event loop for itself.
    this.#notBefore = clock.now() + Math.max(delay, atLeast, 1)
  }

  succeed(member: Member<R>): void {
    this.hopeful--
    // Begun before others failed: it says nothing of what can be made now.
    if (member.round !== this.#round) return
    this.failures = 0
    this.lastFailure = undefined
    this.#previousDelay = 0
    this.rest()
  }

  #wait(pause: number, awaited: boolean): void {
    this.#pause ??= this.#settings.clock.setTimer(() => {
      this.#pause = undefined
      this.#orderer.mayMake()
    }, pause)
    if (awaited) this.#pause.ref()
    else this.#pause.unref()
  }

  #make(member: Member<R>): void {
    this.hopeful++
    const onBroken = (error: unknown): void => this.#noteBroken(member, error)
    const creation = new Creation(member, this.#settings, this.#orderer, onBroken)
    member.abandon = creation.abandon
    creation.begin()
  }
}

/** What breaks unused within this, in ms, has never worked. */
const infancy = 5_000

class Creation<R> {
  readonly #member: Member<R>
  readonly #onBroken: (error: unknown) => void
  readonly #settings: Settings<R>
  readonly #orderer: Orderer<R>
  readonly #lazy = new LazySignal()
  readonly #products = new Set<R>()
  /** Calls of `create` that have not ended; a breaker's retry may make several. */
  #running = 0
  #failed = false
  #over = false
  #timer: Timer | undefined

  constructor(
    member: Member<R>,
    settings: Settings<R>,
    orderer: Orderer<R>,
    onBroken: (error: unknown) => void,
  ) {
    this.#member = member
    this.#onBroken = onBroken
    this.#settings = settings
    this.#orderer = orderer
  }

  begin(): void {
    const { breaker, createTimeout, clock } = this.#settings
    this.#timer = clock.setTimer(() => inNextTurn(clock, this.#tooLong), createTimeout)
    this.#timer.unref()
    const made =
      breaker === undefined
        ? this.#create()
        : begin(() => breaker.execute(this.#create) as Promise<R>)
    made.then(
      (resource) => this.#accept(resource),
      (error: unknown) => this.#fail(error),
    )
  }

  /** Nobody wants it any more. What it brings all the same is destroyed. */
  readonly abandon = (why: unknown): void => this.#lazy.abort(why)

  readonly #create = (): Promise<R> => {
    const { create } = this.#settings
    const lazy = this.#lazy
    let state: 'begun' | 'made' | 'failed' = 'begun'
    let early: { readonly error: unknown } | undefined
    const broken = (error: unknown): void => {
      if (!this.#failed) this.#onBroken(error)
      this.#orderer.broke(this.#member, error)
    }
    const context: CreateContext = {
      get signal() {
        return lazy.signal
      },
      broken: (error) => {
        // One failure, however often it is told: that of `create`, if it fails, and of that attempt.
        if (state === 'begun') early ??= { error }
        else if (state === 'made') broken(error)
      },
    }
    this.#running++
    const made = begin(() => outside(() => create(context)))
    made.then(
      (resource) => {
        state = 'made'
        if (early !== undefined) broken(early.error)
        this.#made(resource)
      },
      () => {
        state = 'failed'
        this.#ended()
      },
    )
    return made
  }

  #made(resource: R): void {
    this.#products.add(resource)
    if (this.#failed || this.#over) this.#tooLate(resource)
    this.#ended()
  }

  #ended(): void {
    this.#running--
    if (this.#failed && this.#running === 0) this.#giveUp()
  }

  #accept(resource: R): void {
    if (this.#failed || this.#over) {
      // Not from `create`, or it would have been dealt with: a fallback of the breaker's pipeline.
      if (!this.#products.has(resource)) this.#tooLate(resource)
      return
    }
    this.#end()
    this.#products.delete(resource)
    const spare = [...this.#products]
    this.#orderer.arrived(this.#member, resource)
    for (const product of spare) this.#discard(product)
  }

  #fail(error: unknown): void {
    if (this.#failed || this.#over) return
    this.#failed = true
    this.#timer?.cancel()
    this.#orderer.failed(this.#member, error)
    for (const product of this.#products) this.#tooLate(product)
    if (this.#running === 0) this.#giveUp()
    else if (!this.#over) {
      // `create` does not listen. Its place is kept for it a while, since the other side may count it.
      const { clock, hookTimeout } = this.#settings
      this.#timer = clock.setTimer(() => this.#giveUp(), hookTimeout)
      this.#timer.unref()
    }
  }

  readonly #tooLong = (): void => {
    if (this.#failed || this.#over) return
    const { name: pool, clock, createTimeout: limit } = this.#settings
    const error = tooLong({ clock, limit, pool, what: 'create' })
    this.#lazy.abort(error)
    this.#fail(error)
  }

  #tooLate(resource: R): void {
    if (this.#over) return this.#discard(resource)
    this.#end()
    this.#orderer.arrivedLate(this.#member, resource)
  }

  #giveUp(): void {
    if (this.#over) return
    this.#end()
    this.#orderer.gaveUp(this.#member)
  }

  #end(): void {
    this.#over = true
    this.#timer?.cancel()
  }

  /** Destroys what has no place of its own. */
  #discard(resource: R): void {
    const { destroy, clock, hookTimeout: limit, name: pool } = this.#settings
    if (destroy === undefined) return
    bounded(
      { clock, limit, pool, what: 'destroy' },
      (context) => destroy(resource, context),
      () => {},
    )
  }
}
