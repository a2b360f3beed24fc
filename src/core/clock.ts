/**
 * Time. The only module that names the runtime's timers and clocks.
 * Every policy takes a `Clock`, so that a test can hold time in its hand.
 * Globals are looked up at call time: fake timers and late patches are honoured.
 */

/**
 * Where a policy reads the time and asks to be called back.
 *
 * One of your own may break: while it throws, or answers what is no time, calls go on by the clock of the
 * machine.
 */
export interface Clock {
  /** Monotonic time in ms, from an arbitrary start. Never goes back. */
  now(): number
  /** Wall-clock ms since 1970; only for absolute protocol dates such as Retry-After. */
  wallTime(): number
  /**
   * Calls back once, `delay` ms from now, and keeps the process alive until then unless unref'd.
   *
   * Any delay is honoured: 0 and less mean as soon as possible, delays above 2^31-1 ms are slept
   * in pieces, and `Infinity` means never (nothing is armed, so nothing keeps the process alive).
   *
   * @throws RangeError if `delay` is not a number or is NaN.
   */
  setTimer(callback: () => void, delay: number): Timer
  /**
   * Calls back after the current turn of the event loop, when I/O had its say.
   * Absent on a clock whose time is exact: there is nothing to wait for.
   */
  readonly defer?: ((callback: () => void) => void) | undefined
}

/** A callback that is still to come. Every method may be called at any time, any number of times. */
export interface Timer {
  /** Forgets the callback. */
  cancel(): void
  /** Keeps the process alive until the callback, as a new timer does. */
  ref(): void
  /** Lets the process end before the callback. Without effect where the runtime cannot do it. */
  unref(): void
}

/**
 * The clock of the machine, used wherever no other `clock` is given.
 *
 * Reads `performance.now` and `Date.now`; waits with `setTimeout` and `setImmediate`.
 *
 * **Watch out:** runtimes keep timers in whole milliseconds, so a callback may come up to 1 ms
 * before `now()` has moved by the full delay.
 *
 * @example Calling back once
 * ```ts
 * import { systemClock } from 'holdfast'
 *
 * const started = systemClock.now()
 * await new Promise<void>((resolve) => systemClock.setTimer(resolve, 20))
 * systemClock.now() - started > 15 // => true
 * ```
 */
export const systemClock: Clock = {
  now: () => runtime.performance.now(),
  wallTime: () => Date.now(),
  setTimer: (callback, delay) => new SystemTimer(callback, checkDelay(delay)),
  get defer() {
    return isFaked() ? undefined : nextTurn
  },
}

/**
 * Calls back in a later turn of the real event loop, when every microtask has run,
 * with the functions the runtime had when this module was loaded: fake timers cannot stall it.
 */
export function nextTurn(callback: () => void): void {
  loadedTurn(callback)
}

/** Calls back after the present turn; at once on a clock whose time is exact and knows no turns. */
export function inNextTurn(clock: Clock, callback: () => void): void {
  if (clock.defer === undefined) callback()
  else clock.defer(callback)
}

/** What begins a later turn in a runtime: `setImmediate`, or a timer of 0 ms where there is none. */
export function turnOf({ setImmediate, setTimeout }: TurnSource): (callback: () => void) => void {
  return (callback) => {
    if (setImmediate === undefined) setTimeout(callback, 0)
    else setImmediate(callback)
  }
}

/** A date in words as ms since 1970, or NaN. Believes nearly anything: look at the text first. */
export function parseDate(text: string): number {
  return Date.parse(text)
}

/** The delay a clock has to wait: never negative. Throws a RangeError on what is not a number. */
export function checkDelay(delay: number): number {
  if (typeof delay !== 'number' || Number.isNaN(delay)) {
    throw new RangeError(`clock: the delay of a timer must be a number of ms, but was ${delay}`)
  }
  return Math.max(0, delay)
}

/** The part of a runtime that begins turns of its event loop. */
export interface TurnSource {
  readonly setTimeout: (callback: () => void, delay: number) => unknown
  readonly setImmediate?: ((callback: () => void) => unknown) | undefined
}

/** The part of the global object used here; typed by hand because runtimes disagree on handles. */
interface Runtime extends TurnSource {
  readonly performance: { now(): number }
  clearTimeout(handle: unknown): void
  readonly Deno?: { refTimer?(handle: unknown): void; unrefTimer?(handle: unknown): void }
}

const runtime = globalThis as unknown as Runtime
const loadedTurn = turnOf(runtime)
const { setTimeout: loadedTimeout, setImmediate: loadedImmediate } = runtime

/** Fake timers stand still between steps: there are no turns to wait for, and time is exact. */
function isFaked(): boolean {
  return runtime.setTimeout !== loadedTimeout || runtime.setImmediate !== loadedImmediate
}

/** Longest delay the runtimes hold; beyond it they fire after 1 ms, which turns a wait into a flood. */
const longestSleep = 2 ** 31 - 1

class SystemTimer implements Timer {
  #callback: () => void
  #remaining: number
  #handle: unknown
  #holdsProcess = true

  constructor(callback: () => void, delay: number) {
    this.#callback = callback
    this.#remaining = delay
    this.#sleep()
  }

  cancel(): void {
    if (this.#handle !== undefined) runtime.clearTimeout(this.#handle)
    this.#handle = undefined
    this.#callback = forgotten
  }

  ref(): void {
    this.#holdsProcess = true
    holdProcess(this.#handle, true)
  }

  unref(): void {
    this.#holdsProcess = false
    holdProcess(this.#handle, false)
  }

  #sleep(): void {
    if (this.#remaining === Number.POSITIVE_INFINITY) return
    // Rounded up: a runtime drops fractions, and would call back too early.
    const sleep = Math.min(Math.ceil(this.#remaining), longestSleep)
    this.#remaining -= sleep
    this.#handle = runtime.setTimeout(this.#wake, sleep)
    if (!this.#holdsProcess) holdProcess(this.#handle, false)
  }

  #wake = (): void => {
    if (this.#remaining > 0) {
      this.#sleep()
      return
    }
    const callback = this.#callback
    this.#handle = undefined
    this.#callback = forgotten
    callback()
  }
}

/** Stands where a callback was, so that a handle kept for long does not keep what it captured. */
function forgotten(): void {}

/** Node and Bun hand out objects with `ref`, Deno numbers with functions beside them, browsers numbers. */
function holdProcess(handle: unknown, hold: boolean): void {
  if (typeof handle === 'object' && handle !== null) {
    const timer = handle as { ref?(): void; unref?(): void }
    if (hold) timer.ref?.()
    else timer.unref?.()
  } else if (handle !== undefined) {
    if (hold) runtime.Deno?.refTimer?.(handle)
    else runtime.Deno?.unrefTimer?.(handle)
  }
}
