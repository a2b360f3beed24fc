/**
 * One call on its way through a pipeline. The `Flight` is pooled: its two handlers are made once and
 * serve many calls. The `Attempt` is fresh for each call of the function, and is what the function gets
 * as its context, so nobody can hold on to another call's signal.
 */
import { type Linked, type SignalHub, unlink } from './abort.ts'
import type { Timer } from './clock.ts'
import type { Outcome } from './outcome.ts'
import type { Context, Operation } from './policy.ts'
import type { CallView, Permit, Visit, Waiting } from './step.ts'
import type { Stray } from './strays.ts'

/** Who flies. The engine, seen from the call. */
export interface Pilot {
  readonly name: string
  landed(flight: Flight, value: unknown): unknown
  resumed(flight: Flight, value: unknown, failed: boolean): void
  crashed(flight: Flight, error: unknown): unknown
  landedFree(flight: Flight, value: unknown): unknown
  crashedFree(flight: Flight, value: unknown): unknown
  boarded(flight: Flight, refusal: unknown): unknown
  aborted(flight: Flight, reason: unknown): void
  deadlineOf(flight: Flight): number
  adopt(flight: Flight, work: Promise<unknown>): void
  elapsed(flight: Flight): number
  now(): number
}

/** What an idle flight was begun with. */
export const NO_ARGS: readonly unknown[] = []
export const NOTHING: Operation<unknown> = () => undefined

type Handler = (settled: unknown) => unknown

/** Stands for handlers that were not needed yet. */
export const UNMADE: Handler = (settled) => settled

export class Flight implements Linked, CallView {
  readonly pilot: Pilot
  readonly slot: number
  /** Handlers for the function's promise, or for the guard before it. */
  ok: Handler = UNMADE
  er: Handler = UNMADE
  /** The same for a flight that nothing can end early. */
  readonly okFree: Handler = UNMADE
  readonly erFree: Handler = UNMADE
  /** The present attempt. All that is young hangs on it: a store into a pooled flight costs more. */
  attempt: Attempt = NONE
  /** What a free flight was begun with, in case that something else runs after it. */
  operation: Operation<unknown> = NOTHING
  given: readonly unknown[] = NO_ARGS
  /** How often the function has been called. */
  calls = 0
  /** Which of the calls that it served this is: what another call left behind does not concern it. */
  generation = 0
  /** The era in which the call was admitted. */
  era = 0
  /** Set when a limit or the caller ended the wait; `cutAt` is the step that did, -1 for the caller. */
  cutWith: Outcome | undefined = undefined
  cutAt = -1
  /** The function's promise still holds the handlers: this flight must not be reused yet. */
  lent = false
  detour: Detour | undefined = undefined

  #board: Handler | undefined = undefined
  #go: Handler | undefined = undefined
  #stop: Handler | undefined = undefined

  /** The next idle one, while it is idle itself. */
  spare: Flight | undefined = undefined

  hub: SignalHub | undefined = undefined
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined

  /** @param free - Most of its flights will be. */
  constructor(pilot: Pilot, slot: number, free: boolean) {
    this.pilot = pilot
    this.slot = slot
    if (!free) {
      this.equip()
      return
    }
    this.okFree = (value) => pilot.landedFree(this, value)
    this.erFree = (error) => pilot.crashedFree(this, error)
  }

  /** Makes the handlers of a flight that is not free. */
  equip(): void {
    const { pilot } = this
    this.ok = (value) => pilot.landed(this, value)
    this.er = (error) => pilot.crashed(this, error)
  }

  /** For the turn of a free flight that stands in line; made when first needed, as those below. */
  get board(): Handler {
    this.#board ??= (refusal) => this.pilot.boarded(this, refusal)
    return this.#board
  }

  /** For whatever else the call waits for. */
  get go(): Handler {
    this.#go ??= (value) => this.pilot.resumed(this, value, false)
    return this.#go
  }

  get stop(): Handler {
    this.#stop ??= (error) => this.pilot.resumed(this, error, true)
    return this.#stop
  }

  get pipeline(): string {
    return this.pilot.name
  }

  get deadline(): number {
    return this.pilot.deadlineOf(this)
  }

  get args(): readonly unknown[] {
    return this.attempt === NONE ? this.given : this.attempt.args
  }

  get priority(): number | undefined {
    return this.detour?.priority
  }

  elapsed(): number {
    return this.pilot.elapsed(this)
  }

  onAbort(reason: unknown): void {
    this.pilot.aborted(this, reason)
  }

  /** Notes what a free flight needs, should it turn out to be none. */
  begunWith(operation: Operation<unknown>, args: readonly unknown[]): void {
    this.operation = operation
    this.given = args
  }

  /** It is no free flight any more: from here it goes on as any other. */
  bind(
    operation: Operation<unknown> = this.operation,
    args: readonly unknown[] = this.given,
  ): this {
    this.attempt = new Attempt(this, operation, args, 1)
    this.begunWith(NOTHING, NO_ARGS)
    return this
  }

  /** Forgets the call, so that nothing of it is kept alive. */
  clear(): void {
    if (this.hub !== undefined) unlink(this)
    if (this.detour !== undefined) {
      this.detour.limit?.cancel()
      this.detour = undefined
    }
    this.attempt = NONE
    this.calls = 0
    this.generation++
  }
}

/** What the function gets. */
export class Attempt implements Context {
  readonly attempt: number
  readonly args: readonly unknown[]
  /** @internal */
  readonly flight: Flight
  /** @internal */
  readonly operation: Operation<unknown>
  /** @internal */
  readonly generation: number
  /** @internal The function's promise, when a slot follows it. */
  work: Promise<unknown> | undefined = undefined
  /** @internal Ends what the call waits for, so that the rest runs in its own async context. */
  cut: ((error: unknown) => void) | undefined = undefined
  /** @internal Settle the caller's promise, when it is not derived from the function's own. */
  resolve: ((value: unknown) => void) | undefined = undefined
  /** @internal */
  reject: ((error: unknown) => void) | undefined = undefined
  private controller: AbortController | undefined = undefined
  /** Why nobody waits any more. */
  private over: { readonly reason: unknown; readonly deadline: number } | undefined = undefined

  constructor(
    flight: Flight,
    operation: Operation<unknown>,
    args: readonly unknown[],
    attempt: number,
  ) {
    this.flight = flight
    this.generation = flight === undefined ? -1 : flight.generation
    this.operation = operation
    this.args = args
    this.attempt = attempt
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.over !== undefined) this.controller.abort(this.over.reason)
    }
    return this.controller.signal
  }

  get deadline(): number {
    const { flight, over } = this
    if (over !== undefined) return over.deadline
    return flight.attempt === this ? flight.deadline : Number.POSITIVE_INFINITY
  }

  get remaining(): number {
    if (this.over !== undefined) return 0
    return Math.max(0, this.deadline - this.flight.pilot.now())
  }

  /** What there is to log of it. */
  toJSON(): Record<string, unknown> {
    const { attempt, deadline, remaining, args } = this
    return { attempt, deadline, remaining, args }
  }

  /** @internal Tells the function that nobody waits any more. */
  end(reason: unknown, deadline: number): void {
    this.over = { reason, deadline }
    this.controller?.abort(reason)
  }

  /** @internal The context of what is called next for the same caller. */
  successor(attempt: number): Attempt {
    const next = new Attempt(this.flight, this.operation, this.args, attempt)
    next.resolve = this.resolve
    next.reject = this.reject
    return next
  }
}

/** What an idle flight points to. */
const NONE = new Attempt(undefined as never, () => undefined, [], 0)

/** What a call needs once it has left the fast path: made only then. */
export class Detour {
  /** The innermost step that holds the call at present. */
  depth: number
  /** It has left the convoy: each gate that holds it counts it by itself. */
  alone = false
  /** The promise of `resolve` and `reject`. */
  answer: Promise<unknown> | undefined = undefined
  /** What the call waits for, besides the function itself. */
  wait: Wait | undefined = undefined
  /** Work is being waited for: the function's, or an alternative's. */
  running = false
  /** By step, for the steps that were entered on the detour. */
  passages: (Passage | undefined)[] | undefined = undefined
  visits: (Visit | undefined)[] | undefined = undefined
  strays: Stray[] | undefined = undefined
  /** The caller's own deadline and its timer. */
  deadline: number = Number.POSITIVE_INFINITY
  limit: Timer | undefined = undefined
  priority: number | undefined = undefined
  /** The attempt of an outer call that this call is a part of: it must know of work that goes on. */
  parent: Attempt | undefined = undefined
  report: Report | undefined = undefined

  constructor(depth: number) {
    this.depth = depth
  }

  /** Nothing has happened that an ordinary way out would miss. */
  get plain(): boolean {
    return this.passages === undefined && this.visits === undefined && this.strays === undefined
  }
}

/** A pause before the step at `index` lets it all run again, a place in its line, or its alternative. */
export type Wait =
  | { readonly for: 'pause'; readonly index: number; readonly again: () => void; timer?: Timer }
  | { readonly for: 'line'; readonly index: number; readonly place: Waiting }
  | { readonly for: 'alternative'; readonly index: number; readonly source: string }

/** How and when a step admitted a call. */
export interface Passage {
  readonly era: number
  readonly since: number
  readonly permit: Permit | undefined
}

/** What `executeDetailed` wants to know. */
export interface Report {
  source: string
  readonly errors: unknown[]
}
