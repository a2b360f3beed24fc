/**
 * A store of the user's own, kept at arm's length: down, slow or giving back garbage, it never fails a
 * call and never delays one beyond `storeTimeout`. While it is down it is not even asked.
 */
import { begin } from '../../core/begin.ts'
import type { Clock } from '../../core/clock.ts'
import { type Deferred, deferred } from '../../core/deferred.ts'
import { TimeoutError } from '../../core/errors.ts'
import type { CacheStoreChanged } from '../../core/events.ts'
import { stackless } from '../../core/stackless.ts'
import type { CacheStore, StoredValue } from './contract.ts'
import type { Calendar, Entry, Shelf } from './entry.ts'

/** A store writes UTF-8, where all of them become one character: two keys would share an answer. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** So many failures in a row, and the store is left alone for so long, in ms. */
const FAILURES = 3
const PAUSE = 1_000

/** What it needs to know. */
interface Parts {
  readonly name: string
  readonly store: CacheStore
  readonly timeout: number
  readonly clock: Clock
  readonly calendar: Calendar
}

/** What is on its way into the store. */
interface Write {
  /** What will be there in the end; undefined for a value on its way out. */
  entry: Entry | undefined
  /** What is to be done when the step under way has been. */
  next: (Deferred<unknown> & { run: () => unknown }) | undefined
}

/** Tells the world about the store. */
type Tell = (told: Pick<CacheStoreChanged, 'change' | 'error'>) => void

export class StoreShelf implements Shelf {
  errors = 0
  down = false
  readonly #store: CacheStore
  readonly #prefix: string
  readonly #timeout: number
  readonly #clock: Clock
  readonly #calendar: Calendar
  readonly #tell: Tell
  readonly #name: string
  readonly #reads = new Map<string, Promise<Entry | undefined>>()
  /** By key. What is on its way is true already. */
  readonly #writes = new Map<string, Write>()
  #failures = 0
  #lastError: unknown = undefined
  #downUntil = 0

  constructor(parts: Parts, tell: Tell) {
    const { name, store, timeout, clock, calendar } = parts
    this.#name = name
    this.#store = store
    // The shape of what is stored has a version, and so has its key: a release that stores something
    // else does not read it.
    this.#prefix = `holdfast:1:${encodeURIComponent(name)}:`
    this.#timeout = timeout
    this.#clock = clock
    this.#calendar = calendar
    this.#tell = tell
  }

  get(key: string): Entry | undefined | Promise<Entry | undefined> {
    const write = this.#writes.get(key)
    if (write !== undefined) return write.entry
    const reading = this.#reads.get(key)
    if (reading !== undefined) return reading
    if (LONE_SURROGATE.test(key) || this.#leavesAlone()) return undefined
    const found = this.#ask(() => this.#store.get(this.#prefix + key))
    if (!(found instanceof Promise)) return found === FAILED ? undefined : this.#read(found)
    const read = found.then((answer) => {
      this.#reads.delete(key)
      // What was set or deleted meanwhile is newer than what was found.
      const written = this.#writes.get(key)
      if (written !== undefined) return written.entry
      return answer === FAILED ? undefined : this.#read(answer)
    })
    this.#reads.set(key, read)
    return read
  }

  set(key: string, entry: Entry): void {
    const now = this.#clock.now()
    const ttl = Math.ceil(entry.staleUntil - now)
    if (ttl <= 0 || LONE_SURROGATE.test(key) || this.#leavesAlone()) return
    const stored: StoredValue = {
      v: 1,
      value: entry.value,
      at: this.#clock.wallTime() - (now - entry.made),
      fresh: Math.max(0, entry.freshUntil - entry.made),
      stale: entry.staleUntil - entry.made,
      took: entry.took,
    }
    this.#write(key, entry, () => this.#store.set(this.#prefix + key, stored, ttl))
  }

  /** Rejects if it could not be done: unlike a lost value, a value that stays is worth knowing of. */
  async delete(key: string): Promise<void> {
    const answer = await this.#write(key, undefined, () => this.#store.delete(this.#prefix + key))
    if (answer === FAILED) throw this.#lastError
  }

  /**
   * One after the other for each key: a slow `set` must not undo the `delete` that came after it. Of those that
   * wait only the newest is done, so that a store which is slower than the calls is not fallen behind.
   */
  #write(key: string, entry: Entry | undefined, run: () => unknown): unknown {
    const write = this.#writes.get(key)
    if (write !== undefined) {
      write.entry = entry
      write.next = { ...(write.next ?? deferred<unknown>()), run }
      return write.next.promise
    }
    const answer = this.#ask(run)
    if (!(answer instanceof Promise)) return answer
    const begun = { entry, next: undefined }
    this.#writes.set(key, begun)
    return this.#end(key, begun, answer)
  }

  async #end(key: string, write: Write, answer: unknown): Promise<unknown> {
    const done = await answer
    const { next } = write
    write.next = undefined
    if (next === undefined) this.#writes.delete(key)
    else next.resolve(this.#end(key, write, this.#ask(next.run)))
    return done
  }

  /** What the store answers, or `FAILED`; a promise of it, which never rejects, if the store gives one. */
  #ask(run: () => unknown): unknown {
    let answer: unknown
    let isAwaited: boolean
    try {
      answer = run()
      isAwaited = typeof (answer as PromiseLike<unknown> | undefined)?.then === 'function'
    } catch (error) {
      return this.#failed(error)
    }
    if (!isAwaited) {
      this.#worked()
      return answer
    }
    const { promise, resolve } = deferred<unknown>()
    const timer = this.#clock.setTimer(() => resolve(this.#failed(this.#tooLate())), this.#timeout)
    let late = false
    promise.then(() => {
      late = true
    })
    begin(() => answer, undefined as never).then(
      (value) => {
        timer.cancel()
        if (late) return
        this.#worked()
        resolve(value)
      },
      (error) => {
        timer.cancel()
        if (!late) resolve(this.#failed(error))
      },
    )
    return promise
  }

  #read(answer: unknown): Entry | undefined {
    if (answer === undefined || answer === null) return undefined
    try {
      const { v, value, at, fresh, stale, took } = answer as StoredValue
      if (v === 1 && [at, fresh, stale, took].every(isDuration)) {
        const now = this.#clock.now()
        const age = Math.max(0, this.#clock.wallTime() - at)
        return this.#calendar.dated(value, now - age, fresh, stale, took)
      }
    } catch {
      // As unreadable as anything else that is not ours.
    }
    this.errors++
    this.#tell({ change: 'unreadable' })
    return undefined
  }

  /** Down, and not yet time to look again. Whoever looks again is the only one to do so. */
  #leavesAlone(): boolean {
    if (!this.down) return false
    const now = this.#clock.now()
    if (now < this.#downUntil) return true
    this.#downUntil = now + PAUSE
    return false
  }

  #failed(error: unknown): typeof FAILED {
    this.errors++
    this.#lastError = error
    this.#failures++
    if (this.#failures >= FAILURES) {
      this.#downUntil = this.#clock.now() + PAUSE
      if (!this.down) {
        this.down = true
        this.#tell({ change: 'failed', error })
      }
    }
    return FAILED
  }

  #worked(): void {
    this.#failures = 0
    if (!this.down) return
    this.down = false
    this.#tell({ change: 'recovered' })
  }

  #tooLate(): TimeoutError {
    return stackless(() => new TimeoutError(this.#name, this.#timeout, 'no answer of the store'))
  }
}

const FAILED: unique symbol = Symbol('failed')

function isDuration(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY
}
