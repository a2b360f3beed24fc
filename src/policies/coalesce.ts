/**
 * Ask once: calls with the same key that come while one is under way wait for its answer.
 */
import { type CallKey, callKey } from '../core/call-key.ts'
import type { Report } from '../core/flight.ts'
import { boolean, duration, fn, optional, readOptions } from '../core/options.ts'
import type { Context, Policy, Stats } from '../core/policy.ts'
import { type Inside, notCalled, RelayPolicy, type RelayTraits } from '../core/relay.ts'
import { SharedCall, type SharedCallOwner } from '../core/shared-call.ts'
import { type CommonOptions, commonChecks } from '../core/step-policy.ts'

/** Options of {@link coalesce}. */
export interface CoalesceOptions extends CommonOptions {
  /** Makes the key from the arguments of the wrapped function; undefined for a call that is not shared. */
  readonly key: (...args: never[]) => string | undefined
  /** Nobody joins a call that has lasted longer, in ms: the next makes a new one. @default 30_000 */
  readonly joinWithin?: number | undefined
  /** Lets a call end although all its callers have left, instead of aborting its signal. @default false */
  readonly finishAlone?: boolean | undefined
}

/** How the calls of a coalesce ended, and how many were spared. */
export interface CoalesceStats extends Stats {
  /** Calls that waited for another one instead of calling the function. */
  readonly joined: number
  /** Shared calls under way now. */
  readonly running: number
}

/** Makes one call of many that ask the same. */
export interface Coalesce extends Policy {
  stats(): CoalesceStats
}

/**
 * Makes one call for everybody who asks the same at the same time.
 *
 * The first caller of a key calls the function; whoever comes with the same key meanwhile gets the same
 * answer, or the same error. Nothing is kept: who comes after the end calls anew. A caller that aborts,
 * or whose time is up, leaves alone; with the last of them `context.signal` aborts. `context.deadline`
 * is that of the most patient caller.
 *
 * **Use it** for reads that many ask at once. **Not for** writes: two orders are two orders.
 *
 * **Watch out:** a key has to hold all that the answer depends on, the user above all. All callers get the
 * same object: do not change it. A call that waits for its own key waits for itself.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { coalesce } from 'holdfast'
 *
 * let calls = 0
 * const product = coalesce({ key: (id: string) => id }).wrap(async (id: string) => `${id}, read ${++calls}`)
 * await Promise.all([product('tea'), product('tea')]) // => ['tea, read 1', 'tea, read 1']
 * ```
 */
export function coalesce(options: CoalesceOptions): Coalesce {
  return new CoalescePolicy(readOptions('coalesce', options, checks))
}

const checks = {
  ...commonChecks,
  key: fn,
  joinWithin: optional(duration({ infinite: true })),
  finishAlone: optional(boolean),
}

class CoalescePolicy extends RelayPolicy implements Coalesce, SharedCallOwner {
  override readonly traits: RelayTraits = { shares: true }
  readonly #key: CallKey
  readonly #joinWithin: number
  readonly #finishAlone: boolean
  readonly #calls = new Map<string, SharedCall>()
  #joined = 0

  constructor(options: CoalesceOptions) {
    super('coalesce', options, undefined, { joinWithin: 30_000, finishAlone: false })
    this.#key = options.key
    this.#joinWithin = options.joinWithin ?? 30_000
    this.#finishAlone = options.finishAlone ?? false
  }

  relay(caller: Context, inside: Inside, report: Report | undefined, mayLeave: boolean): unknown {
    const key = callKey(this.name, this.#key, caller.args)
    if (key === undefined) return this.passOn(caller, inside, report)
    // The key function may have had its own caller abort.
    if (mayLeave && caller.signal.aborted) return undefined
    const running = this.#calls.get(key)
    if (running !== undefined && this.clock.now() - running.began <= this.#joinWithin) {
      return this.#join(running, caller, report, mayLeave)
    }
    const call = new SharedCall(key, caller.args, this, this.clock, this.#finishAlone)
    this.#calls.set(key, call)
    const answer = mayLeave ? call.join(caller, report, true).answer : call.stay()
    call.begin(inside)
    return answer
  }

  ended(call: SharedCall): void {
    if (this.#calls.get(call.key) === call) this.#calls.delete(call.key)
  }

  deserted(call: SharedCall): void {
    this.ended(call)
  }

  override get pinned(): boolean {
    return super.pinned || this.#calls.size > 0
  }

  override stats(): CoalesceStats {
    return { ...super.stats(), joined: this.#joined, running: this.#calls.size }
  }

  #join(
    call: SharedCall,
    caller: Context,
    report: Report | undefined,
    mayLeave: boolean,
  ): Promise<unknown> {
    this.#joined++
    notCalled(caller)
    const answer = mayLeave ? call.join(caller, report, true).answer : call.stay()
    if (this.emitter.observed) {
      const { name: policy, clock } = this
      const { key, waiting } = call
      this.emitter.emit({ type: 'join', policy, at: clock.now(), key, waiting })
    }
    return answer
  }
}
