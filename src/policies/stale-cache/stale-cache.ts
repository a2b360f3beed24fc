/**
 * The last good value of each key: served while it is fresh, while a newer one is on its way, and when
 * there is no newer one to be had (RFC 5861).
 */
import { callKey } from '../../core/call-key.ts'
import { type CacheAnswered, type HoldfastEvent, quiet } from '../../core/events.ts'
import type { Report } from '../../core/flight.ts'
import { NO_ARGS } from '../../core/flight.ts'
import type { Context, ExecuteOptions, Operation } from '../../core/policy.ts'
import { pulseOf } from '../../core/pulse.ts'
import {
  type Inside,
  notCalled,
  RelayPolicy,
  type RelayTraits,
  reportOf,
  tellKept,
} from '../../core/relay.ts'
import type { Waiter } from '../../core/shared-call.ts'
import type { LastKnownGood, StaleCache, StaleCacheStats } from './contract.ts'
import { Calendar, type Entry, type Shelf } from './entry.ts'
import { type Asked, type Load, Loads, type Telling } from './loads.ts'
import { Memory } from './memory.ts'
import {
  describable,
  readStaleCacheOptions,
  type Settings,
  type StaleCacheOptions,
  settingsOf,
} from './options.ts'
import { StoreShelf } from './store-shelf.ts'

/**
 * Keeps the last good value of each key, and answers with it when there is nothing better.
 *
 * A value is fresh up to the age of `freshFor`: it is served without a call. After that, up to
 * `staleFor`, the function is called, and the value is served if the call fails or takes longer than
 * `softTimeout`; the call then goes on and fills the cache. There is one call at a time for each key,
 * however many wait for it, and after a failure none for `refreshPause`. Errors are never kept.
 *
 * **Use it** around everything but a `fallback`, for answers that may be a little old.
 * **Not for** answers that must be true now: balances, permissions, stock that is being sold.
 *
 * **Watch out:** a key has to hold all that the answer depends on, the user above all. All callers get the
 * same object: do not change it, or give `copy`.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { staleCache } from 'holdfast'
 *
 * let calls = 0
 * const price = staleCache({ key: (id: string) => id, staleFor: 600_000 }).wrap(async (id: string) => {
 *   if (++calls > 1) throw new Error('connection reset')
 *   return `${id} costs 3`
 * })
 * await price('tea') // => 'tea costs 3'
 * await price('tea') // => 'tea costs 3'
 * await price('salt') // throws Error: connection reset
 * calls // => 3
 * ```
 */
export function staleCache<T = unknown>(options: StaleCacheOptions<T>): StaleCache<T> {
  return new StaleCachePolicy<T>(readStaleCacheOptions(options))
}

class StaleCachePolicy<T> extends RelayPolicy implements StaleCache<T> {
  override readonly traits: RelayTraits = { keeps: true, shares: true }
  readonly lastKnownGood: LastKnownGood<T>
  readonly #settings: Settings
  readonly #memory: Memory | undefined
  readonly #store: StoreShelf | undefined
  readonly #shelf: Shelf
  readonly #loads: Loads
  readonly #pulse = pulseOf(this.clock)
  readonly #counts = { fresh: 0, stale: 0, joined: 0, loads: 0, refreshes: 0 }

  constructor(options: StaleCacheOptions<T>) {
    super('staleCache', describable(options))
    const settings = settingsOf(options)
    const calendar = new Calendar(settings)
    const { name, clock } = this
    const { store, maxEntries, maxBytes, sizeOf, storeTimeout } = settings
    if (store === undefined) {
      this.#shelf = this.#memory = new Memory(maxEntries, maxBytes, sizeOf)
    } else {
      this.#shelf = this.#store = new StoreShelf(
        { name, store, timeout: storeTimeout, clock, calendar },
        (change) => this.#tell({ type: 'cache-store', ...change }),
      )
    }
    this.#settings = settings
    this.#loads = new Loads(settings, this.#shelf, calendar, clock, (event) => this.#tell(event))
    this.lastKnownGood = { name, run: (error, caller) => this.#lastKnown(error, caller) }
  }

  set(key: string, value: T): void {
    const entry = this.#loads.enter(value, this.clock.now(), 0)
    this.#loads.supersede(key, entry)
    if (entry === undefined) quiet(this.#shelf.delete(key))
    else this.#shelf.set(key, entry)
  }

  async delete(key: string): Promise<void> {
    this.#loads.supersede(key, undefined)
    await this.#shelf.delete(key)
  }

  override stats(): StaleCacheStats {
    const { failures, running } = this.#loads
    const { entries, bytes, evicted } = this.#memory ?? { entries: 0, bytes: 0, evicted: 0 }
    const { errors: storeErrors, down: storeDown } = this.#store ?? { errors: 0, down: false }
    const kept = { entries, bytes, evicted, storeErrors, storeDown }
    return { ...super.stats(), ...this.#counts, failures, running, ...kept }
  }

  override get pinned(): boolean {
    return super.pinned || this.#loads.running > 0
  }

  /** A fresh value in memory, asked for by nobody in particular, needs no more than one promise. */
  protected override run(
    operation: Operation<unknown>,
    options?: ExecuteOptions,
    args: readonly unknown[] = NO_ARGS,
  ): Promise<unknown> {
    if (options !== undefined || this.gate.alert !== 0 || typeof operation !== 'function') {
      return super.run(operation, options, args)
    }
    let key: string | undefined
    try {
      key = callKey(this.name, this.#settings.key, args)
      const entry = key === undefined ? undefined : this.#memory?.get(key)
      if (entry !== undefined && this.#pulse.now() < entry.refreshFrom) {
        const value = this.#copy(entry.value)
        this.gate.succeeded++
        this.#counts.fresh++
        return Promise.resolve(value)
      }
    } catch (error) {
      return this.engine.execute(() => Promise.reject(error), undefined, args)
    }
    return this.engine.execute(
      (caller) => this.#find(key, caller, (context) => operation(context), undefined, false),
      undefined,
      args,
    )
  }

  relay(caller: Context, inside: Inside, report: Report | undefined, mayLeave: boolean): unknown {
    const key = callKey(this.name, this.#settings.key, caller.args)
    return this.#find(key, caller, inside, report, mayLeave)
  }

  #find(
    key: string | undefined,
    caller: Context,
    inside: Inside,
    report: Report | undefined,
    mayLeave: boolean,
  ): unknown {
    // An earlier attempt of this call may have been answered with what was kept.
    if (report !== undefined) report.source = 'primary'
    if (key === undefined) return this.passOn(caller, inside, report)
    const asked = { key, caller, inside, report, mayLeave }
    const found = this.#shelf.get(key)
    return found instanceof Promise
      ? found.then((entry) => this.#answer(asked, entry))
      : this.#answer(asked, found)
  }

  #answer(asked: Asked, entry: Entry | undefined): unknown {
    const { key } = asked
    if (entry === undefined) return this.#wait(asked, undefined)
    const now = this.#pulse.now()
    if (now < entry.freshUntil) {
      const refreshes = now >= entry.refreshFrom && this.#refresh(asked, entry)
      return this.#serve(asked, entry, !refreshes)
    }
    const { staleOnError, softTimeout } = this.#settings
    const exact = this.clock.now()
    if (exact >= entry.staleUntil) {
      this.#memory?.delete(key)
      return this.#wait(asked, undefined)
    }
    if (softTimeout > 0) {
      const paused = staleOnError && this.#loads.paused(key)
      return paused ? this.#serve(asked, entry, true, 'paused') : this.#wait(asked, entry)
    }
    const refreshes = this.#refresh(asked, entry)
    return this.#serve(asked, entry, !refreshes, 'slow')
  }

  /** Waits for the call of this key, which is made if there is none; with `entry` up to a point. */
  #wait(asked: Asked, entry: Entry | undefined): unknown {
    const { key, caller, mayLeave } = asked
    // It may have left while the store was asked, or have been aborted by its own key function.
    if (mayLeave && caller.signal.aborted) return undefined
    const running = this.#loads.joinable(key)
    const load = running ?? this.#loads.create(key, caller.args, entry)
    const answer = this.#patience(asked, load).then(undefined, (error) =>
      this.#standIn(asked, load, error),
    )
    if (running === undefined) {
      this.#counts.loads++
      load.begin(asked.inside)
      return answer
    }
    this.#counts.joined++
    notCalled(caller)
    this.#tell({ type: 'join', key, waiting: load.waiting })
    return this.#settings.copy === undefined ? answer : answer.then((value) => this.#copy(value))
  }

  /** The call's own answer, or what is served when the caller has waited for `softTimeout`. */
  #patience(asked: Asked, load: Load): Promise<unknown> {
    const { caller, report, mayLeave } = asked
    const { softTimeout } = this.#settings
    const endless = load.entry === undefined || softTimeout === Number.POSITIVE_INFINITY
    if (endless && !mayLeave) return load.stay()
    const waiter = load.join(caller, report, mayLeave)
    if (!endless) {
      waiter.timer = this.clock.setTimer(() => this.#giveUp(asked, load, waiter), softTimeout)
    }
    return waiter.answer
  }

  /** The call takes too long: the last good value instead, if it may be. */
  #giveUp(asked: Asked, load: Load, waiter: Waiter): void {
    const entry = this.#usable(load.entry)
    try {
      if (entry !== undefined) load.release(waiter, this.#serve(asked, entry, false, 'slow'))
    } catch {
      // It cannot be copied: the caller goes on waiting.
    }
  }

  /** Refreshes in the background, unless a call is under way or has just failed. */
  #refresh({ key, caller, inside }: Asked, entry: Entry): boolean {
    if (this.#loads.joinable(key) !== undefined || this.#loads.paused(key)) return false
    const load = this.#loads.create(key, caller.args, entry)
    load.alone = true
    load.background = true
    this.#counts.refreshes++
    load.begin(inside)
    return true
  }

  /** Answers with what was kept. */
  #serve(
    { key, caller, report }: Pick<Asked, 'key' | 'caller' | 'report'>,
    entry: Entry,
    uncalled: boolean,
    reason?: CacheAnswered['reason'],
    failure?: { readonly cause: unknown },
  ): unknown {
    const stale = reason !== undefined
    const value = this.#copy(entry.value)
    this.#counts[stale ? 'stale' : 'fresh']++
    if (uncalled) notCalled(caller)
    if (report === undefined && !this.emitter.observed) return value
    const age = Math.max(0, this.clock.now() - entry.made)
    tellKept(report, this.name, age, stale)
    const why = stale ? { answer: 'stale', reason, ...failure } : { answer: 'fresh' }
    this.#tell({ type: 'cache', key, age, ...why } as Telling<CacheAnswered>)
    return value
  }

  /** The call failed: the last good value instead, if it may be. */
  #standIn(asked: Asked, load: Load, error: unknown): unknown {
    const entry = this.#settings.staleOnError ? this.#usable(load.entry) : undefined
    if (entry === undefined || !this.#loads.mayStandIn(error)) throw error
    asked.report?.errors.push(error)
    return this.#serve(asked, entry, false, 'failed', { cause: error })
  }

  async #lastKnown(error: unknown, caller: Context): Promise<T> {
    const key = callKey(this.name, this.#settings.key, caller.args)
    const entry = key === undefined ? undefined : this.#usable(await this.#shelf.get(key))
    if (key === undefined || entry === undefined) throw error
    const asked = { key, caller, report: reportOf(caller) }
    return this.#serve(asked, entry, false, 'failed', { cause: error }) as T
  }

  #usable(entry: Entry | undefined): Entry | undefined {
    return entry !== undefined && this.clock.now() < entry.staleUntil ? entry : undefined
  }

  #copy(value: unknown): unknown {
    const { copy } = this.#settings
    return copy === undefined ? value : copy(value as never)
  }

  #tell(event: Telling<HoldfastEvent>): void {
    if (!this.emitter.observed) return
    const { name: policy, clock } = this
    this.emitter.emit({ ...event, policy, at: clock.now() } as HoldfastEvent)
  }
}
