/**
 * One call on its way through a pipeline. The `Flight` is pooled: its two handlers are made once and
 * serve many calls. The `Attempt` is fresh for each call of the function, and is what the function gets
 * as its context, so nobody can hold on to another call's signal.
 */
import { type Linked, type SignalHub, unlink } from './abort.ts'
import type { Timer } from './clock.ts'
import type { Outcome } from './outcome.ts'
import type { Context, Operation } from './policy.ts'
import type { CallView, Permit, StrayWork, Visit } from './step.ts'

/** Who flies. The engine, seen from the call. */
export interface Pilot {
  readonly name: string
  landed(flight: Flight, value: unknown): unknown
  crashed(flight: Flight, error: unknown): unknown
  aborted(flight: Flight, reason: unknown): void
  deadlineOf(flight: Flight): number
  elapsed(flight: Flight): number
  now(): number
}

export class Flight implements Linked, CallView {
  readonly pilot: Pilot
  readonly slot: number
  /** Handlers for the function's promise, or for the guard before it. */
  readonly ok: (value: unknown) => unknown
  readonly er: (error: unknown) => unknown

  attempt: Attempt | undefined = undefined
  calls = 0
  /** The era in which the call was admitted. */
  era = 0
  /** Settle the caller's promise, when it is not derived from the function's own. */
  resolve: ((value: unknown) => void) | undefined = undefined
  reject: ((error: unknown) => void) | undefined = undefined
  /** Ends what the call is waiting for now, so that the rest runs in its own async context. */
  cut: ((error: unknown) => void) | undefined = undefined
  /** Set when a limit or the caller ended the wait; `cutAt` is the step that did, -1 for the caller. */
  cutWith: Outcome | undefined = undefined
  cutAt = -1
  /** The function's promise still holds the handlers: this flight must not be reused yet. */
  lent = false
  detour: Detour | undefined = undefined

  hub: SignalHub | undefined = undefined
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined

  constructor(pilot: Pilot, slot: number) {
    this.pilot = pilot
    this.slot = slot
    this.ok = (value) => pilot.landed(this, value)
    this.er = (error) => pilot.crashed(this, error)
  }

  get pipeline(): string {
    return this.pilot.name
  }

  get deadline(): number {
    return this.pilot.deadlineOf(this)
  }

  get args(): readonly unknown[] {
    return this.attempt?.args ?? []
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

  /** Forgets the call, so that nothing of it is kept alive. */
  clear(): void {
    if (this.hub !== undefined) unlink(this)
    if (this.detour !== undefined) {
      this.detour.limit?.cancel()
      this.detour = undefined
    }
    this.attempt = undefined
    this.resolve = undefined
    this.reject = undefined
    this.cut = undefined
    this.calls = 0
  }
}

/** What the function gets. */
export class Attempt implements Context {
  readonly attempt: number
  readonly args: readonly unknown[]
  /** @internal */ readonly flight: Flight
  /** @internal */ readonly operation: Operation<unknown>
  /** @internal */ work: Promise<unknown> | undefined = undefined
  #controller: AbortController | undefined = undefined
  #over = false
  #reason: unknown = undefined

  constructor(
    flight: Flight,
    operation: Operation<unknown>,
    args: readonly unknown[],
    attempt: number,
  ) {
    this.flight = flight
    this.operation = operation
    this.args = args
    this.attempt = attempt
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#over) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  get deadline(): number {
    const { flight } = this
    return flight.attempt === this ? flight.deadline : Number.POSITIVE_INFINITY
  }

  get remaining(): number {
    if (this.#over) return 0
    return Math.max(0, this.deadline - this.flight.pilot.now())
  }

  /** Tells the function that nobody waits any more. */
  end(reason: unknown): void {
    this.#over = true
    this.#reason = reason
    this.#controller?.abort(reason)
  }

  /** The context of the next call of the same function. */
  again(): Attempt {
    return new Attempt(this.flight, this.operation, this.args, this.attempt + 1)
  }
}

/** What a call needs once it has left the fast path: made only then. */
export class Detour {
  /** The innermost step that holds the call at present. */
  depth: number
  /** The promise of `resolve` and `reject`. */
  answer: Promise<unknown> | undefined = undefined
  /** Ends a sleep or leaves a line. Undefined while the function runs. */
  cancel: (() => void) | undefined = undefined
  /** The function is being waited for, not a clock or a line. */
  running = false
  readonly eras: number[] = []
  readonly starts: number[] = []
  readonly permits: (Permit | undefined)[] = []
  readonly visits: (Visit | undefined)[] = []
  strays: Stray[] | undefined = undefined
  /** The caller's own deadline and its timer. */
  deadline: number = Number.POSITIVE_INFINITY
  limit: Timer | undefined = undefined
  priority: number | undefined = undefined
  report: Report | undefined = undefined

  constructor(depth: number) {
    this.depth = depth
  }
}

/** What `executeDetailed` wants to know. */
export interface Report {
  source: string
  attempts: number
  readonly errors: unknown[]
}

/** Work that goes on although its call has moved on. */
export class Stray {
  /** Steps from here inwards have settled their account with it. */
  reach: number
  ended = false
  #callbacks: (() => void)[] = []

  constructor(work: Promise<unknown>, reach: number) {
    this.reach = reach
    const end = (): void => {
      this.ended = true
      for (const callback of this.#callbacks) callback()
    }
    work.then(end, end)
  }

  whenEnded(callback: () => void): void {
    this.#callbacks.push(callback)
  }
}

/** The strays that a step at `index` has to wait for, if any. */
export function straysUnder(strays: readonly Stray[], index: number): StrayWork | undefined {
  const running = strays.filter((stray) => !stray.ended && stray.reach > index)
  if (running.length === 0) return undefined
  return {
    whenEnded(callback) {
      let left = running.length
      for (const stray of running) {
        stray.whenEnded(() => {
          if (--left === 0) callback()
        })
      }
    },
  }
}
