/**
 * A bulkhead that finds its own size: as many calls at a time as the other side can take, and no more, by
 * watching how long they take.
 */
import { quiet } from '../../core/events.ts'
import { type Outcome, statusOf } from '../../core/outcome.ts'
import type { Policy } from '../../core/policy.ts'
import { systemRandom } from '../../core/random.ts'
import { Semaphore } from '../../core/semaphore.ts'
import { SlotPolicy, type SlotStats } from '../../core/slot-policy.ts'
import type { Admission, CallView, Exit } from '../../core/step.ts'
import { Aimd } from './aimd.ts'
import { Gradient2 } from './gradient2.ts'
import { bounded, type Law, type Sample } from './law.ts'
import { type AdaptiveConcurrencyOptions, readAdaptiveOptions, type Settings } from './options.ts'
import { fewOf, Probe } from './probe.ts'
import { Sampler } from './sampler.ts'
import { Vegas } from './vegas.ts'

/** How the calls ended, who is in it now, and what the limit goes by. */
export interface AdaptiveConcurrencyStats extends SlotStats {
  /** Mean time of a call in the last window, in ms; null before the first. */
  readonly rtt: number | null
  /** Time of a call that waits for nobody, as far as it is known, in ms; null before, and with `aimd`. */
  readonly baseline: number | null
  /** Whether that time is being measured, with a low limit meanwhile. */
  readonly probing: boolean
  /** How often it was measured so. */
  readonly probes: number
}

/** Limits how many calls run at the same time to what the other side can take. */
export interface AdaptiveConcurrency extends Policy {
  stats(): AdaptiveConcurrencyStats
}

/**
 * A bulkhead whose size is found by measuring: it grows while calls do not take longer, and shrinks when
 * they queue up at the other side, time out, or are refused there.
 *
 * After each `window` with at least `minSamples` calls the limit is changed: by how many calls seem to
 * wait at the other side (`'vegas'`), by how much longer calls take than usual (`'gradient2'`), or by
 * whether some were dropped (`'aimd'`). While nobody uses the limit it stays. While it is used up, the time of a
 * call that waits for nobody is measured every `probeInterval`, with a few calls at a time for a
 * moment: without that, Vegas and Gradient2 that start too high never come down. Everything else is as in a
 * `bulkhead`: line, priorities, `BulkheadFullError`, slots that follow the work.
 *
 * **Use it** where nobody knows the right size, or where it changes: autoscaling, shared dependencies.
 * **Not for** a dependency whose size you know (`bulkhead`), or fewer than a few calls a second.
 *
 * **Watch out:** it needs a timeout inside: calls that hang are never measured.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { adaptiveConcurrency } from 'holdfast'
 *
 * const search = adaptiveConcurrency({ name: 'search', initialLimit: 10, maxQueue: 50 })
 * await search.execute(() => 'found') // => 'found'
 * search.stats().maxConcurrent // => 10
 * ```
 */
export function adaptiveConcurrency(options: AdaptiveConcurrencyOptions = {}): AdaptiveConcurrency {
  return new AdaptiveConcurrencyPolicy(readAdaptiveOptions(options))
}

class AdaptiveConcurrencyPolicy extends SlotPolicy implements AdaptiveConcurrency {
  readonly usesTime = true
  readonly needsExactTime = true
  readonly #settings: Settings
  readonly #law: Law
  readonly #sampler: Sampler
  #probe: Probe | undefined
  #probes = 0
  /** When to measure the baseline next, if the limit is used up then. */
  #probeAt = Number.NEGATIVE_INFINITY
  #rtt = 0

  constructor(settings: Settings) {
    super('adaptiveConcurrency', settings, new Semaphore(settings.initialLimit, true), {})
    this.#settings = settings
    this.#law = lawOf(settings)
    this.#sampler = new Sampler(settings.window, settings.minSamples)
  }

  /** Asked when the limit is used up. */
  override admit(call: CallView): Admission {
    if (this.#probe?.isOverdue(this.clock.now())) {
      this.#endProbe(this.clock.now())
      if (this.slots.tryAcquire()) return undefined
    }
    return super.admit(call)
  }

  override passed(value: unknown, since: number): boolean {
    this.#observe(since, false)
    return super.passed(value, since)
  }

  override leave(outcome: Outcome, exit: Exit): void {
    const kind = this.#kindOf(outcome)
    if (kind !== undefined) this.#observe(exit.since, kind === 'dropped')
    super.leave(outcome, exit)
  }

  override stats(): AdaptiveConcurrencyStats {
    const { baseline } = this.#law
    return {
      ...super.stats(),
      rtt: this.#rtt === 0 ? null : this.#rtt,
      baseline: baseline === 0 ? null : baseline,
      probing: this.#probe !== undefined,
      probes: this.#probes,
    }
  }

  /** What a call says of the other side. A quick failure must not look like a quick answer. */
  #kindOf({ ending, error }: Outcome): 'measured' | 'dropped' | undefined {
    if (ending === 'succeeded') return 'measured'
    if (ending === 'timedOut') return 'dropped'
    return ending === 'failed' && this.#isOverload(error) ? 'dropped' : undefined
  }

  #isOverload(error: unknown): boolean {
    const { isOverload = saysTooMuch } = this.#settings
    try {
      return quiet(isOverload(error)) === true
    } catch {
      return false
    }
  }

  /** A call ended that says something. It still holds its slot. */
  #observe(since: number, dropped: boolean): void {
    const now = this.clock.now()
    const { running } = this.gate
    if (this.#probe !== undefined) return this.#observeProbe(this.#probe, since, now, dropped)
    const sample = this.#sampler.add(now, now - since, running, dropped)
    if (sample !== undefined) this.#adapt(sample, now)
  }

  #adapt(sample: Sample, now: number): void {
    const { minLimit, probeInterval, algorithm } = this.#settings
    const { limit: before } = this.gate
    this.#rtt = sample.rtt
    const few = fewOf(before, minLimit)
    const measures = algorithm !== 'aimd' && probeInterval < Number.POSITIVE_INFINITY
    if (measures && sample.inFlight <= few && !sample.dropped) {
      // So few calls at a time are a measurement by themselves.
      this.#law.rebase(sample.rtt)
      this.#planProbe(now)
    } else if (measures && sample.inFlight >= before && before > few && now >= this.#probeAt) {
      return this.#beginProbe(few, sample.rtt, now)
    }
    this.#law.update(sample)
    this.#setLimit(sample.dropped ? 'overload' : 'latency')
  }

  #beginProbe(few: number, loaded: number, now: number): void {
    const { limit } = this.gate
    this.#probe = new Probe(limit, few, loaded, Math.min(10, this.#settings.minSamples), now)
    this.#probes++
    this.#resize(few, 'probe')
  }

  #observeProbe(probe: Probe, since: number, now: number, dropped: boolean): void {
    const baseline = dropped ? undefined : probe.add(since, now)
    probe.running(this.gate.running - 1, now)
    if (baseline !== undefined) this.#endProbe(now, baseline)
    else if (probe.isOverdue(now)) this.#endProbe(now)
  }

  #endProbe(now: number, baseline?: number): void {
    const { from, loaded } = this.#probe as Probe
    this.#probe = undefined
    this.#planProbe(now)
    if (baseline !== undefined) {
      this.#law.rebase(baseline)
      // Little's law: so many were really at work while the others waited for them, and some to spare.
      const busy = from * Math.min(1, baseline / loaded)
      this.#law.limit = bounded(Math.min(from, busy + Math.sqrt(busy)), this.#settings)
    }
    this.#setLimit('probed')
  }

  /** Not all clients at the same time. */
  #planProbe(now: number): void {
    const { probeInterval, random = systemRandom } = this.#settings
    this.#probeAt = now + probeInterval * (0.75 + random() / 2)
  }

  #setLimit(reason: 'latency' | 'overload' | 'probed'): void {
    this.#resize(Math.floor(this.#law.limit), reason)
  }

  #resize(to: number, reason: 'latency' | 'overload' | 'probe' | 'probed'): void {
    const { limit: from } = this.gate
    if (to === from) return
    this.slots.resize(to)
    if (!this.emitter.observed) return
    const { name: policy } = this
    const { baseline } = this.#law
    const at = this.clock.now()
    this.emitter.emit({ type: 'limit', policy, at, from, to, reason, rtt: this.#rtt, baseline })
  }
}

function lawOf(settings: Settings): Law {
  const { algorithm, initialLimit, maxLatency } = settings
  if (algorithm === 'aimd') return new Aimd(initialLimit, settings, maxLatency)
  return new (algorithm === 'vegas' ? Vegas : Gradient2)(initialLimit, settings)
}

function saysTooMuch(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const status = statusOf(error)
  return status === 429 || status === 503
}
