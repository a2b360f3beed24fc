/**
 * The line before a server that is full. A short line absorbs a burst; a line that does not empty is an
 * overload, and then two things change, as at Facebook (B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015):
 * nobody waits longer than `targetWait` any more (controlled delay, after CoDel), and the newest are served
 * first (adaptive LIFO), because the oldest are those whose callers have most likely given up.
 */

/** Somebody in line. */
export interface Waiter {
  readonly priority: number
  /** When it joined, in ms. */
  readonly since: number
  /** When its own caller gives up, in ms; `Infinity` from the moment on when that is overlooked. */
  deadline: number
  /** Its turn has come. */
  serve(): void
  /** It has waited long enough, or makes place for somebody more important. */
  refuse(why: 'wait' | 'displaced' | 'deadline'): void
}

/** Priorities reach from -10 to 10. */
const LEVELS = 21
const OFFSET = 10

export class WaitingLine {
  readonly #levels: Level[] = Array.from({ length: LEVELS }, () => new Level())
  readonly #targetWait: number
  readonly #maxWait: number
  readonly #givesUpOn: (now: number) => boolean
  #size = 0
  /** Those in line whose caller gives up at a known time. */
  #hasty = 0
  #emptyAt: number

  /** `givesUpOn` is asked for each whose caller has given up in line: false keeps it there. */
  constructor(
    now: number,
    targetWait: number,
    maxWait: number,
    givesUpOn: (now: number) => boolean = () => true,
  ) {
    this.#emptyAt = now
    this.#targetWait = targetWait
    this.#maxWait = maxWait
    this.#givesUpOn = givesUpOn
  }

  get size(): number {
    return this.#size
  }

  /** The line has not been empty for as long as anybody may wait. */
  overloaded(now: number): boolean {
    return this.#size > 0 && now - this.#emptyAt > this.#maxWait
  }

  /** How long somebody may wait at present, in ms. */
  patience(now: number): number {
    return this.overloaded(now) ? this.#targetWait : this.#maxWait
  }

  join(waiter: Waiter, now: number): void {
    if (this.#size === 0) this.#emptyAt = now
    this.#size++
    if (isHasty(waiter)) this.#hasty++
    this.#levels[waiter.priority + OFFSET]?.add(waiter)
  }

  /** When somebody must look at this one again, in ms. */
  dueOf(waiter: Waiter, now: number): number {
    const end = this.overloaded(now)
      ? waiter.since + this.#targetWait
      : this.#emptyAt + this.#maxWait
    return Math.min(end, waiter.deadline)
  }

  /** When somebody must look at the line again, in ms; `Infinity` for an empty one. */
  nextDue(now: number): number {
    let due = Number.POSITIVE_INFINITY
    for (const waiters of this.#levels) {
      for (const waiter of waiters) {
        due = Math.min(due, this.dueOf(waiter, now))
        if (this.#hasty === 0) break
      }
    }
    return due
  }

  /** False if it is not in line any more. */
  leave(waiter: Waiter): boolean {
    const left = this.#levels[waiter.priority + OFFSET]?.delete(waiter) === true
    if (left) this.#size--
    if (left && isHasty(waiter)) this.#hasty--
    return left
  }

  /** Takes out whoever is served next, after refusing those who have waited too long. */
  shift(now: number): Waiter | undefined {
    this.sweep(now)
    const newestFirst = this.overloaded(now)
    for (let level = LEVELS - 1; level >= 0; level--) {
      const waiters = this.#levels[level] as Level
      const next = newestFirst ? waiters.newest : waiters.oldest
      if (next === undefined) continue
      this.leave(next)
      if (this.#size === 0) this.#emptyAt = now
      return next
    }
    return undefined
  }

  /** Somebody less important makes place: the one that has waited longest. False if there is none. */
  displace(priority: number): boolean {
    for (let level = 0; level < priority + OFFSET; level++) {
      const oldest = this.#levels[level]?.oldest
      if (oldest === undefined) continue
      this.leave(oldest)
      oldest.refuse('displaced')
      return true
    }
    return false
  }

  /** Refuses those whose time is up. */
  sweep(now: number): void {
    const patience = this.patience(now)
    for (const waiters of this.#levels) {
      // In the order in which they joined: behind the first that may stay, only deadlines matter.
      for (const waiter of waiters) {
        const late = now - waiter.since > patience
        if (!late && this.#hasty === 0) break
        if (!late && !this.#isGivenUp(waiter, now)) continue
        this.leave(waiter)
        waiter.refuse(late ? 'wait' : 'deadline')
      }
    }
    if (this.#size === 0) this.#emptyAt = now
  }

  #isGivenUp(waiter: Waiter, now: number): boolean {
    if (waiter.deadline > now) return false
    if (this.#givesUpOn(now)) return true
    waiter.deadline = Number.POSITIVE_INFINITY
    this.#hasty--
    return false
  }

  /** Refuses everybody. */
  clear(): void {
    for (const waiters of this.#levels) {
      for (const waiter of waiters) {
        this.leave(waiter)
        waiter.refuse('displaced')
      }
    }
  }
}

function isHasty({ deadline }: Waiter): boolean {
  return deadline < Number.POSITIVE_INFINITY
}

/** Those of one priority, in the order in which they joined. */
class Level extends Set<Waiter> {
  #stack: Waiter[] = []

  override add(waiter: Waiter): this {
    // Those who have left are swept out when they outnumber the others.
    if (this.#stack.length > 2 * this.size + 16) this.#stack = [...this]
    this.#stack.push(waiter)
    return super.add(waiter)
  }

  get oldest(): Waiter | undefined {
    return this.values().next().value
  }

  get newest(): Waiter | undefined {
    const stack = this.#stack
    let last = stack.at(-1)
    while (last !== undefined && !this.has(last)) {
      stack.pop()
      last = stack.at(-1)
    }
    return last
  }
}
