/**
 * What a pipeline is made of once it is compiled: its steps, their gates, their limits, and when each
 * call began. Plain arrays, indexed by step and by slot.
 */
import type { Clock } from './clock.ts'
import { Deadlines } from './deadlines.ts'
import type { Ending } from './events.ts'
import type { Flight } from './flight.ts'
import type { Gate } from './gate.ts'
import { type Pulse, pulseOf } from './pulse.ts'
import type { Step } from './step.ts'

/** When a call began that nobody timed. */
export const UNTIMED = -1

export abstract class Track {
  readonly name: string
  readonly steps: readonly Step[]
  readonly gates: readonly Gate[]
  /** The limits by step, for the steps that have one. */
  readonly limits: readonly (Deadlines | undefined)[]
  usesTime: boolean
  readonly followsWork: boolean
  /** A limit lies inside a step that may run something else: only then is a guard needed. */
  readonly fenced: boolean
  readonly clock: Clock
  /** Every call that has a slot, by slot. */
  protected readonly flights: (Flight | undefined)[] = []
  /** When the call in each slot began. */
  protected starts: Float64Array = new Float64Array(0)
  readonly #pulse: Pulse
  /** It runs whole calls, and not the inner part of somebody else's. */
  readonly #whole: boolean
  /** Latency is to be exact: the clock is read for each call. */
  protected exact: boolean

  constructor(
    name: string,
    steps: readonly Step[],
    clock: Clock,
    exact: boolean,
    whole: boolean = true,
  ) {
    this.name = name
    this.steps = steps
    this.gates = steps.map((step) => step.gate)
    this.clock = clock
    this.#whole = whole
    this.#pulse = pulseOf(clock)
    this.limits = steps.map((step, index) =>
      step.duration === undefined
        ? undefined
        : new Deadlines(step.duration, pulseOf(step.clock), (slot) => {
            this.expire(this.flights[slot] as Flight, index)
          }),
    )
    this.exact = exact || steps.some((step) => step.needsExactTime)
    this.usesTime = this.exact || steps.some((step) => step.usesTime || step.duration !== undefined)
    this.followsWork = steps.some((step) => step.followsWork)
    this.fenced = steps.some(
      (step, index) => step.duration !== undefined && this.decides(-1, index),
    )
  }

  protected abstract expire(flight: Flight, index: number): void

  /** Whether a step between `outer` and `inner`, both left out, may have something else run. */
  protected decides(outer: number, inner: number): boolean {
    return this.steps.some(
      (step, index) => index > outer && index < inner && step.react !== undefined,
    )
  }

  /** The time that calls are stamped with. */
  protected time(): number {
    return this.exact ? this.clock.now() : this.#pulse.now()
  }

  /** From now on: somebody looks at the durations. */
  measureExactly(): void {
    this.exact = true
    this.usesTime = true
  }

  now(): number {
    return this.clock.now()
  }

  elapsed(flight: Flight): number {
    const began = this.starts[flight.slot] as number
    return began === UNTIMED ? 0 : Math.max(0, this.clock.now() - began)
  }

  deadlineOf(flight: Flight): number {
    let nearest = flight.detour?.deadline ?? Number.POSITIVE_INFINITY
    for (const limit of this.limits) {
      if (limit !== undefined) nearest = Math.min(nearest, limit.due[flight.slot] as number)
    }
    return nearest
  }

  /** Room for one more call at a time. */
  protected grow(): void {
    const slots = Math.max(4, this.starts.length * 2)
    const starts = new Float64Array(slots)
    starts.set(this.starts)
    this.starts = starts
    for (const limit of this.limits) limit?.grow(slots)
  }

  /** Measures a passage, and tells of the whole call when it leaves the outermost step. */
  protected measure(
    flight: Flight,
    index: number,
    ending: Ending,
    since: number,
    error?: unknown,
  ): void {
    const { name: policy, latency, emitter } = this.steps[index] as Step
    const tells = index === 0 && this.#whole && emitter.observed
    if (latency === undefined && !tells) return
    const at = this.clock.now()
    // Somebody began to listen: what is under way was not timed, what comes will be.
    if (!this.exact) this.measureExactly()
    const duration = since === UNTIMED ? 0 : Math.max(0, at - since)
    if (since !== UNTIMED) latency?.record(duration)
    if (!tells) return
    const { name: pipeline } = this
    const call = { type: 'call', policy, pipeline, at, ending, duration } as const
    const what = ending === 'succeeded' ? {} : { error }
    emitter.emit({ ...call, attempts: flight.calls, ...what })
  }
}
