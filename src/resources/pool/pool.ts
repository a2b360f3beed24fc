/**
 * Resources that are dear to make, such as connections: made once, lent to one at a time, looked after
 * in between. What is lent comes back or is replaced; what is broken is never lent again.
 */

import { Link, link, unlink } from '../../core/abort.ts'
import { inheritedDeadline } from '../../core/ambient.ts'
import { hang } from '../../core/begin.ts'
import { deferred } from '../../core/deferred.ts'
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'
import { show } from '../../core/options.ts'
import { Cancelling } from './cancelling.ts'
import { close, drain } from './closing.ts'
import type { AcquireOptions, CloseReport, Lease, Pool, PoolStats } from './contract.ts'
import { begin, follow } from './hook.ts'
import { Acquiring, type Waiter } from './line.ts'
import { Loan } from './loan.ts'
import type { Member } from './member.ts'
import { faultOf, type PoolOptions, readTimeout, settle } from './options.ts'
import { Supply } from './supply.ts'
import { WaitingUse } from './waiting-use.ts'
import { warmUp } from './warming.ts'

/**
 * Keeps up to `maxSize` resources and lends each to one borrower at a time.
 *
 * An idle resource is lent at once, the one used last first. Otherwise one is made while there is room,
 * and whoever cannot be served waits in line, first come first served, up to `acquireTimeout`. Before it is
 * lent, a resource that was not used for `validateAfter` is validated; after each loan it is reset. Too old,
 * too often used, broken or evicted, it is destroyed and replaced. Creations that fail are paced by
 * `createBackoff`, stop while `breaker` is open, and their failure reaches whoever nobody else can serve.
 *
 * **Use it** for what is dear to make and serves one at a time: connections, browsers, parsers.
 * **Not for** limiting calls that share nothing: that is a bulkhead.
 *
 * **Watch out:** a borrower that acquires a second resource while it holds one can wait for itself.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { createPool } from 'holdfast'
 *
 * let made = 0
 * const pool = createPool({ name: 'orders', create: () => ({ id: ++made }), maxSize: 2 })
 *
 * await pool.use(async (connection) => `order by ${connection.id}`) // => 'order by 1'
 * await pool.use((connection) => connection.id) // => 1
 * pool.stats() // => { total: 1, idle: 1, inUse: 0, acquired: 2, ... }
 * await pool.close() // => { forced: 0, errors: [] }
 * ```
 */
export function createPool<R>(options: PoolOptions<R>): Pool<R>
export function createPool<R>(options: PoolOptions<R>, ...more: unknown[]): Pool<R> {
  // generic-pool has a function of this name that takes two: its limits would be lost in silence.
  if (more.length > 0) {
    throw new TypeError('createPool: takes one object: createPool({ create, destroy, maxSize, … })')
  }
  return new ResourcePool(new Supply(settle(options)))
}

class ResourcePool<R> implements Pool<R> {
  readonly name: string
  readonly #supply: Supply<R>
  #closing: Promise<CloseReport> | undefined

  constructor(supply: Supply<R>) {
    this.name = supply.settings.name
    this.#supply = supply
  }

  use<T>(fn: (resource: R) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T> {
    const supply = this.#supply
    const isPlainUse = options === undefined && supply.phase === 'open' && typeof fn === 'function'
    if (!isPlainUse) return this.#useWith(fn, options)
    const member = supply.take()
    if (member === undefined) return this.#useLater(fn)
    let work: Promise<T>
    try {
      // Looked at in here: what it answers may throw when it is touched.
      work = follow(fn(member.resource as R))
    } catch (error) {
      supply.giveBackFailed(member, error)
      return Promise.reject(error)
    }
    return hang(work, member.succeed, member.fail) as Promise<T>
  }

  acquire(options?: AcquireOptions): Promise<Lease<R>> {
    const supply = this.#supply
    const member = options === undefined && supply.phase === 'open' ? supply.take() : undefined
    if (member === undefined) return this.#acquireLater(options)
    return Promise.resolve(new Loan(supply, member))
  }

  tryAcquire(): Lease<R> | undefined {
    const supply = this.#supply
    const member = supply.phase === 'open' ? supply.take() : undefined
    return member === undefined ? undefined : new Loan(supply, member)
  }

  async warmUp(options?: { readonly timeout?: number | undefined }): Promise<void> {
    return warmUp(this.#supply, readTimeout('pool.warmUp', options, 30_000))
  }

  evictAll(): void {
    const supply = this.#supply
    for (const member of [...supply.inventory.members]) supply.condemn(member, 'evicted')
    supply.balance()
  }

  suspend(): void {
    this.#supply.suspended = true
  }

  resume(): void {
    this.#supply.suspended = false
    this.#supply.balance()
  }

  async drain(options?: { readonly timeout?: number | undefined }): Promise<boolean> {
    return drain(this.#supply, readTimeout('pool.drain', options, 10_000))
  }

  async close(options?: { readonly timeout?: number | undefined }): Promise<CloseReport> {
    const timeout = readTimeout('pool.close', options, 10_000)
    if (this.#closing === undefined) {
      // Known before anything happens: a listener or a hook may close the pool that is being closed.
      const report = deferred<CloseReport>()
      this.#closing = report.promise
      close(this.#supply, timeout).then(report.resolve, report.reject)
    }
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  stats(): PoolStats {
    const { inventory, line, settings, counts, acquired } = this.#supply
    return {
      name: this.name,
      total: inventory.size,
      creating: inventory.creating.size,
      idle: inventory.idle.size,
      validating: inventory.validating.size + inventory.tending.size,
      inUse: inventory.lent.size,
      destroying: inventory.destroying.size,
      waiting: line.size,
      minSize: settings.minSize,
      maxSize: settings.maxSize,
      acquired,
      ...counts,
    }
  }

  subscribe(listener: Listener<HoldfastEvent>): () => void {
    return this.#supply.emitter.subscribe(listener)
  }

  async #acquireLater(options: AcquireOptions | undefined): Promise<Lease<R>> {
    const member = await this.#obtain(options)
    const signal = options?.signal
    // Aborted between the grant and this: nobody may be there to give it back.
    if (signal?.aborted === true) {
      this.#supply.giveBack(member)
      throw signal.reason
    }
    return new Loan(this.#supply, member)
  }

  #useLater<T>(fn: (resource: R) => T | PromiseLike<T>): Promise<T> {
    const use = new WaitingUse(fn)
    this.#wait(use, undefined, Number.POSITIVE_INFINITY)
    return use.answer as Promise<T>
  }

  async #useWith<T>(
    fn: (resource: R) => T | PromiseLike<T>,
    options: AcquireOptions | undefined,
  ): Promise<T> {
    if (typeof fn !== 'function') {
      throw new TypeError(`pool "${this.name}": use needs a function, but was given ${show(fn)}`)
    }
    const supply = this.#supply
    const member = await this.#obtain(options)
    const signal = options?.signal
    if (signal !== undefined) return this.#useWatched(fn, member, signal)
    // The pool may have been closed between the grant and this.
    if (member.place !== supply.inventory.lent) throw supply.closed()
    let value: T
    try {
      value = await fn(member.resource as R)
    } catch (error) {
      supply.giveBackFailed(member, error)
      throw error
    }
    supply.giveBack(member)
    return value
  }

  /** The caller may go before the work has ended; the resource stays with the work. */
  #useWatched<T>(
    fn: (resource: R) => T | PromiseLike<T>,
    member: Member<R>,
    signal: AbortSignal,
  ): Promise<T> {
    const supply = this.#supply
    if (signal.aborted) {
      supply.giveBack(member)
      return Promise.reject(signal.reason)
    }
    if (member.place !== supply.inventory.lent) return Promise.reject(supply.closed())
    const resource = member.resource as R
    const answer = new Promise(capture) as Promise<T>
    const resolve = resolveNew as (value: T) => void
    const reject = rejectNew
    let cancelling: Cancelling | undefined
    const caller = new Link((reason) => {
      reject(reason)
      const { cancel } = supply.settings
      if (cancel === undefined) return
      const giveUp = (why: string, error?: unknown): void => supply.giveUp(member, why, error)
      cancelling = new Cancelling(supply.settings, giveUp)
      cancelling.begin((context) => cancel(resource, reason, context))
    })
    const back = (giveBack: () => void): void => {
      if (cancelling === undefined) giveBack()
      else cancelling.workEnded(giveBack)
    }
    link(signal, caller)
    hang(
      begin(() => fn(resource)),
      (value) => {
        unlink(caller)
        back(() => supply.giveBack(member))
        resolve(value as T)
      },
      (error) => {
        unlink(caller)
        back(() => supply.giveBackFailed(member, error))
        reject(error)
      },
    )
    return answer
  }

  /** A resource: idle, validated, made, or come back; or the reason why there is none. */
  #obtain(options: AcquireOptions = NONE): Promise<Member<R>> {
    const supply = this.#supply
    const fault = faultOf(options)
    if (fault !== undefined) return Promise.reject(new TypeError(`pool "${this.name}": ${fault}`))
    const { signal, deadline = Number.POSITIVE_INFINITY } = options
    if (supply.phase !== 'open') return Promise.reject(supply.closed())
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    const member = supply.take()
    if (member !== undefined) return Promise.resolve(member)
    const waiter = new Acquiring<R>()
    this.#wait(waiter, signal, deadline)
    return waiter.granted
  }

  /** Lets it stand in line, or turns it away. */
  #wait(waiter: Waiter<R>, signal: AbortSignal | undefined, deadline: number): void {
    const supply = this.#supply
    const { settings, line, inventory } = supply
    const allLent = inventory.lent.size === settings.limit
    // Only those count as waiting who wait for somebody else's release.
    const room = supply.suspended ? 0 : settings.limit - inventory.lent.size
    if (line.size >= settings.maxWaiting + room) return waiter.reject(supply.full())
    const inherited = inheritedDeadline(settings.clock)
    const borrower = supply.watchesLoans ? new Error('borrowed here') : undefined
    line.join(waiter, Math.min(deadline, inherited), signal, borrower)
    // All are lent: nothing can be done but wait.
    if (allLent) return
    supply.maker.knock()
    supply.balance()
  }
}

const NONE: AcquireOptions = {}
