/**
 * What a pipeline is made of once it is compiled: its steps, their gates, their limits, and when each
 * call began. Plain arrays, indexed by step and by slot.
 */
import type { Clock } from './clock.ts'
import { type Convoy, convoyOf } from './convoy.ts'
import { Deadlines } from './deadlines.ts'
import type { Ending } from './events.ts'
import type { Flight } from './flight.ts'
import type { Gate } from './gate.ts'
import { type Pulse, pulseOf } from './pulse.ts'
import type { Step } from './step.ts'

/** When a call began that nobody timed. */
export const UNTIMED = -1

/**
 * A gate that every call visits. A linked line of them, for V8 keeps an array that is empty in one
 * pipeline and full in another as two kinds, and a loop that has met both is slower for each.
 */
export interface Checkpoint {
  readonly index: number
  readonly gate: Gate
  readonly outer: Checkpoint | undefined
  inner: Checkpoint | undefined
}

export abstract class Track {
  readonly name: string
  readonly steps: readonly Step[]
  readonly gates: readonly Gate[]
  /** The steps that every call visits, from the first to the last. */
  protected readonly first: Checkpoint | undefined
  protected readonly last: Checkpoint | undefined
  /** Counts for all the others: the passive ones. */
  protected readonly convoy: Convoy
  readonly #passive: readonly number[]
  /** The limits by step, for the steps that have one; and the outermost of them. */
  readonly limits: readonly (Deadlines | undefined)[]
  protected readonly outermost: Deadlines | undefined
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
    const line = checkpoints(steps)
    this.first = line[0]
    this.last = line.at(-1)
    this.#passive = [...steps.keys()].filter((index) => steps[index]?.passive)
    this.convoy = convoyOf(
      this,
      this.#passive.map((index) => this.gates[index] as Gate),
    )
    this.limits = steps.map((step, index) =>
      step.duration === undefined || step.duration === Number.POSITIVE_INFINITY
        ? undefined
        : new Deadlines(step.duration, pulseOf(step.clock), (slot) => {
            this.expire(this.flights[slot] as Flight, index)
          }),
    )
    this.outermost = nested(this.limits.filter((limit) => limit !== undefined))
    this.exact = exact || steps.some((step) => step.needsExactTime)
    this.usesTime = this.exact || steps.some((step) => step.usesTime)
    this.followsWork = steps.some((step) => step.followsWork)
    this.fenced = steps.some(
      (_, index) => this.limits[index] !== undefined && this.decides(-1, index),
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

  /** Notes when the call began; somebody wants to know, now or from now on. */
  protected stamp(flight: Flight): void {
    this.usesTime = true
    this.starts[flight.slot] = this.time()
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
    const starts = new Float64Array(slots).fill(UNTIMED)
    starts.set(this.starts)
    this.starts = starts
    for (const limit of this.limits) limit?.grow(slots)
  }

  /** Measures a success for those steps of the convoy that somebody watches. */
  protected measureConvoy(flight: Flight): void {
    const since = this.starts[flight.slot] as number
    const at = this.clock.now()
    const { loud } = this.convoy
    for (let place = loud.length - 1; place >= 0; place--) {
      const index = this.#passive[loud[place] as number] as number
      this.measure(flight, index, 'succeeded', since, undefined, at)
    }
  }

  /** Measures a passage, and tells of the whole call when it leaves the outermost step. */
  protected measure(
    flight: Flight,
    index: number,
    ending: Ending,
    since: number,
    error?: unknown,
    now?: number,
  ): void {
    const step = this.steps[index] as Step
    const { latency } = step
    const tells = index === 0 && this.#whole && step.emitter.observed
    if (latency === undefined && !tells) return
    const at = now ?? this.clock.now()
    // Somebody began to listen: what is under way was not timed, what comes will be.
    if (!this.exact) this.measureExactly()
    const duration = since === UNTIMED ? 0 : Math.max(0, at - since)
    if (since !== UNTIMED) latency?.record(duration)
    if (!tells) return
    const { name: policy, emitter } = step
    const { name: pipeline } = this
    const call = { type: 'call', policy, pipeline, at, ending, duration } as const
    const what = ending === 'succeeded' ? {} : { error }
    emitter.emit({ ...call, attempts: flight.calls, ...what })
  }
}

function checkpoints(steps: readonly Step[]): readonly Checkpoint[] {
  const line: Checkpoint[] = []
  for (const [index, { passive, gate }] of steps.entries()) {
    if (passive) continue
    const outer = line.at(-1)
    const checkpoint: Checkpoint = { index, gate, outer, inner: undefined }
    if (outer !== undefined) outer.inner = checkpoint
    line.push(checkpoint)
  }
  return line
}

function nested(limits: readonly Deadlines[]): Deadlines | undefined {
  for (const [index, limit] of limits.entries()) limit.inner = limits[index + 1]
  return limits[0]
}
