/**
 * Do not wait for a straggler: when a call takes longer than most, make it once more, and take the answer
 * that comes first. (Dean and Barroso, "The Tail at Scale", 2013.)
 */
import { harmless, quiet } from '../../core/events.ts'
import type { Report } from '../../core/flight.ts'
import { judge } from '../../core/outcome.ts'
import type { Context, Policy, Stats } from '../../core/policy.ts'
import { pulseOf } from '../../core/pulse.ts'
import { type Inside, pipelineOf, RelayPolicy, type RelayTraits } from '../../core/relay.ts'
import type { HedgeAttempt } from './attempt.ts'
import { describedOptions, type HedgeOptions, readHedgeOptions, type Settings } from './options.ts'
import { Race, type RaceMaster } from './race.ts'
import { RecentLatency } from './recent-latency.ts'
import { WaitingRoom } from './waits.ts'

/** How the calls of a hedge ended. */
export interface HedgeStats extends Stats {
  /** Further calls that were made. */
  readonly hedges: number
  /** Answers that came from a further call. */
  readonly won: number
  /** Further calls that the budget refused. */
  readonly refused: number
  /** How long an answer is waited for at present, in ms; null while too few calls were seen. */
  readonly delay: number | null
}

/** Makes slow calls once more. */
export interface Hedge extends Policy {
  stats(): HedgeStats
}

/**
 * Makes a call once more when it takes long, and takes the answer that comes first.
 *
 * After `delay`, or after as long as `percentile` of the recent calls took, the function is called again
 * beside the first call, up to `maxHedges` times, as far as `budget` allows. The first success is the
 * answer; the others are cancelled by their own `context.signal`, and what they still bring goes to
 * `discard`. A failure that may get better does not wait, nor does a result that `shouldHedgeResult` refuses:
 * the next call is made at once. If none is better the caller gets the first such result, or the first
 * failure, as it came.
 *
 * **Use it** for reads whose slowest calls are much slower than most, at a dependency with room to spare.
 * **Not for** work that must not happen twice: here it happens twice on purpose.
 *
 * **Watch out:** a dependency that is slow because it is overloaded gets more load: keep the budget.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { hedge } from 'holdfast'
 *
 * const slowAtFirst = ({ attempt }: { attempt: number }) =>
 *   new Promise((resolve) => setTimeout(resolve, attempt === 1 ? 200 : 1, `call ${attempt}`))
 * await hedge({ delay: 5 }).execute(slowAtFirst) // => 'call 2'
 * ```
 */
export function hedge(options: HedgeOptions): Hedge {
  return new HedgePolicy(readHedgeOptions(options))
}

class HedgePolicy extends RelayPolicy implements Hedge, RaceMaster {
  readonly passive = true
  override readonly traits: RelayTraits
  readonly maxHedges: number
  room: WaitingRoom | undefined
  readonly #settings: Settings
  readonly #recent: RecentLatency | undefined
  #hedges = 0
  #won = 0
  #refused = 0

  constructor(settings: Settings) {
    super('hedge', describedOptions(settings))
    const { delay, percentile, window, maxHedges } = settings
    this.#settings = settings
    this.maxHedges = maxHedges
    // A percentile may be anything: then only a failure makes the next call come for certain.
    const latest = percentile === undefined ? delay : undefined
    this.traits = { hedges: { calls: maxHedges, delay: latest ?? Number.POSITIVE_INFINITY } }
    if (delay !== undefined) this.room = new WaitingRoom(delay, pulseOf(this.clock))
    if (percentile !== undefined) {
      this.#recent = new RecentLatency(percentile, window, this.clock.now())
    }
  }

  relay(
    caller: Context,
    inside: Inside,
    report: Report | undefined,
    mayLeave: boolean,
  ): Promise<unknown> {
    quiet(this.#settings.allowance?.deposit())
    const began = this.#recent === undefined ? 0 : this.clock.now()
    const race = new Race(this, caller, inside, report, began)
    race.begin(mayLeave)
    return race.answer
  }

  override stats(): HedgeStats {
    return {
      ...super.stats(),
      hedges: this.#hedges,
      won: this.#won,
      refused: this.#refused,
      delay: this.room?.duration ?? null,
    }
  }

  isWorthIt(error: unknown): boolean {
    const { shouldHedge } = this.#settings
    try {
      const choice = quiet(shouldHedge?.(error))
      if (choice !== undefined) return choice === true
    } catch {
      // A broken predicate decides nothing.
      return false
    }
    return judge(error) === 'transient'
  }

  isPoor(value: unknown): boolean {
    const { shouldHedgeResult } = this.#settings
    if (shouldHedgeResult === undefined) return false
    try {
      return quiet(shouldHedgeResult(value)) === true
    } catch {
      return false
    }
  }

  allows(race: Race): boolean {
    const { allowance } = this.#settings
    if (allowance === undefined || quiet(allowance.tryWithdraw()) === true) return true
    this.#refused++
    this.#tell(race, 'refused', race.caller.attempt)
    return false
  }

  sends(race: Race, attempt: number, error: unknown): void {
    this.#hedges++
    this.#tell(race, 'sent', attempt, error)
  }

  ends(race: Race, winner: HedgeAttempt | undefined): void {
    if (winner !== undefined) {
      this.#won++
      this.#tell(race, 'won', winner.attempt)
    }
    if (this.#recent === undefined) return
    // When another call was faster, the first one would have taken even longer than this.
    const now = this.clock.now()
    const found = this.#recent.record(now - race.began, now)
    if (found !== undefined) this.#waitFor(Math.max(1, found))
  }

  discards(value: unknown): void {
    const { discard } = this.#settings
    harmless(discard ?? cancelBody, value)
  }

  #waitFor(delay: number): void {
    const before = this.room?.duration ?? 0
    // Each delay has a timer of its own: small changes are not worth it.
    if (Math.abs(delay - before) <= before * 0.05) return
    this.room = new WaitingRoom(delay, pulseOf(this.clock))
  }

  #tell(race: Race, what: 'sent' | 'won' | 'refused', attempt: number, error?: unknown): void {
    if (!this.emitter.observed) return
    const { name: policy, clock } = this
    const pipeline = pipelineOf(race.caller, policy)
    const why = error === undefined ? {} : { error }
    this.emitter.emit({ type: 'hedge', policy, pipeline, at: clock.now(), what, attempt, ...why })
  }
}

/** The body of an answer of `fetch` holds a connection until somebody reads it. */
function cancelBody(value: unknown): unknown {
  const { body } = (value ?? {}) as { body?: { cancel?: unknown } | null }
  return typeof body?.cancel === 'function' ? body.cancel() : undefined
}
