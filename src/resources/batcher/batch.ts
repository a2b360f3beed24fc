/**
 * One batch from its first key to its last answer: who waits for which position, and who is told what.
 *
 * A single load has a promise of its own; a `loadMany` has one for all its keys and only remembers where
 * they went, in runs, so that a thousand keys cost little more than the batch itself.
 */
import type { Linked, SignalHub } from '../../core/abort.ts'
import type { Timer } from '../../core/clock.ts'
import { type Deferred, deferred } from '../../core/deferred.ts'
import { describeError } from '../../core/errors.ts'
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'
import type { Place } from '../concurrency/slots.ts'
import type { Entry } from './cache.ts'
import type { BatchContext } from './contract.ts'

/** What a batch tells its owner. */
export interface Owner {
  /** Nobody waits for this position any more, and it has not been sent. */
  forget(batch: Batch, position: number): void
  /** Nobody waits for anything in this batch any more. */
  deserted(batch: Batch): void
}

export class Batch {
  readonly keys: unknown[] = []
  /** What the keys are known by. */
  readonly ids: unknown[]
  /** Position by id, when nothing else remembers it. */
  readonly positions: Map<unknown, number> = new Map()
  /** By position, with a cache. */
  readonly entries: (Entry | undefined)[] = []
  /** Filling, told to go, sent, over. */
  state: 'open' | 'due' | 'sent' | 'over' = 'open'
  timer: Timer | undefined = undefined
  place: Place | undefined = undefined
  go: () => void = nothing
  readonly #owner: Owner
  /** How many wait, by position; and for how many positions somebody does. */
  readonly #waiters: number[] = []
  #live = 0
  #singles: Single[] = []
  #parts: Part[] = []
  #controller: AbortController | undefined
  #over: Deferred<void> | undefined

  constructor(owner: Owner, hasIds: boolean) {
    this.#owner = owner
    this.ids = hasIds ? [] : this.keys
  }

  /** Takes a key in; its position. */
  add(key: unknown, id: unknown): number {
    const position = this.keys.push(key) - 1
    if (this.ids !== this.keys) this.ids.push(id)
    this.#waiters.push(0)
    return position
  }

  /** Keys that somebody waits for. */
  get live(): number {
    return this.#live
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  get context(): BatchContext {
    return new LazyContext(this)
  }

  /** One more waits for the key at `position`. */
  join(position: number): void {
    const before = this.#waiters[position] as number
    this.#waiters[position] = before + 1
    if (before === 0) this.#live++
  }

  /** One less does, and nobody else is touched. */
  leave(position: number): void {
    if (this.state === 'over') return
    const left = (this.#waiters[position] as number) - 1
    this.#waiters[position] = left
    if (left > 0) return
    this.#live--
    if (this.state !== 'sent') this.#owner.forget(this, position)
    if (this.#live === 0) this.#owner.deserted(this)
  }

  /** A promise of the value at `position`, the same one for all. */
  promiseOf(position: number): Promise<unknown> {
    this.join(position)
    const known = this.#singles[position]
    if (known !== undefined) return known.promise
    const promise = new Promise(capture)
    this.#singles[position] = new Single(promise, resolveNew, rejectNew)
    return promise
  }

  attach(part: Part): void {
    this.#parts.push(part)
  }

  /** Which positions are sent: all that somebody waits for. */
  positionsToSend(): number[] | undefined {
    if (this.#live === this.keys.length) return undefined
    return [...this.keys.keys()].filter((position) => (this.#waiters[position] as number) > 0)
  }

  /** Hands out the answers, which come in the order of `sent`. */
  settle(answers: readonly unknown[], sent: readonly number[] | undefined): void {
    if (this.state === 'over') return
    const values = sent === undefined ? answers : spread(answers, sent)
    for (const [position, single] of this.#singles.entries()) {
      const value = values[position]
      if (value instanceof Error) single?.reject(value)
      else single?.resolve(value)
    }
    for (const part of this.#parts) part.fill(values)
    this.end()
  }

  /** Tells everybody the same. */
  fail(error: unknown): void {
    if (this.state === 'over') return
    for (const single of this.#singles) single?.reject(error)
    const shown = error instanceof Error ? error : new Error(describeError(error), { cause: error })
    for (const part of this.#parts) part.fillWith(shown)
    this.end()
  }

  abort(reason: unknown): void {
    this.#controller?.abort(reason)
  }

  end(): void {
    this.state = 'over'
    this.timer?.cancel()
    this.#singles = []
    this.#parts = []
    this.#over?.resolve()
  }

  get isOver(): Promise<void> {
    this.#over ??= deferred()
    return this.#over.promise
  }
}

/** A load of its own. */
class Single {
  readonly promise: Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void

  constructor(
    promise: Promise<unknown>,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.promise = promise
    this.resolve = resolve
    this.reject = reject
  }
}

/** The keys of one `loadMany`, wherever they went. */
export class Group {
  readonly values: unknown[]
  readonly #parts = new Map<Batch, Part>()
  #last: Part | undefined
  #left = 0
  #resolve: ((values: unknown[]) => void) | undefined

  constructor(size: number) {
    this.values = new Array(size)
  }

  /** The value at `target` will be that of `position` in the batch. */
  expect(target: number, batch: Batch, position: number): void {
    batch.join(position)
    let part = this.#last
    if (part?.batch !== batch) {
      part = this.#parts.get(batch)
      if (part === undefined) {
        part = new Part(this, batch)
        this.#parts.set(batch, part)
        this.#left++
        batch.attach(part)
      }
      this.#last = part
    }
    part.add(target, position)
  }

  /** Calls back when every part is there. */
  whenWhole(resolve: (values: unknown[]) => void): void {
    this.#resolve = resolve
    if (this.#left === 0) resolve(this.values)
  }

  partDone(): void {
    if (--this.#left === 0) this.#resolve?.(this.values)
  }

  leave(): void {
    for (const part of this.#parts.values()) part.leave()
  }
}

/** The keys of a group in one batch: runs of target, position, length. */
class Part {
  readonly batch: Batch
  readonly #group: Group
  readonly #runs: number[] = []

  constructor(group: Group, batch: Batch) {
    this.#group = group
    this.batch = batch
  }

  add(target: number, position: number): void {
    const runs = this.#runs
    const last = runs.length - 3
    const length = runs[last + 2] ?? 0
    const isNext =
      last >= 0 && runs[last] === target - length && runs[last + 1] === position - length
    if (isNext) runs[last + 2] = length + 1
    else runs.push(target, position, 1)
  }

  fill(values: readonly unknown[]): void {
    this.#each((target, position) => {
      this.#group.values[target] = values[position]
    })
    this.#group.partDone()
  }

  fillWith(error: Error): void {
    this.#each((target) => {
      this.#group.values[target] = error
    })
    this.#group.partDone()
  }

  leave(): void {
    this.#each((_target, position) => this.batch.leave(position))
  }

  #each(visit: (target: number, position: number) => void): void {
    const runs = this.#runs
    for (let run = 0; run < runs.length; run += 3) {
      const [target = 0, position = 0, length = 0] = runs.slice(run, run + 3)
      for (let step = 0; step < length; step++) visit(target + step, position + step)
    }
  }
}

/** A caller who may change its mind. */
export class Leaver implements Linked {
  hub: SignalHub | undefined = undefined
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  readonly #leave: () => void
  readonly #reject: (reason: unknown) => void

  constructor(leave: () => void, reject: (reason: unknown) => void) {
    this.#leave = leave
    this.#reject = reject
  }

  onAbort(reason: unknown): void {
    this.#leave()
    this.#reject(reason)
  }
}

class LazyContext implements BatchContext {
  readonly #batch: Batch

  constructor(batch: Batch) {
    this.#batch = batch
  }

  get signal(): AbortSignal {
    return this.#batch.signal
  }
}

/** Answers of the keys that were sent, at the positions that they had. */
function spread(answers: readonly unknown[], sent: readonly number[]): unknown[] {
  const values: unknown[] = []
  for (const [at, position] of sent.entries()) values[position] = answers[at]
  return values
}

function nothing(): void {}
