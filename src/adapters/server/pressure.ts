/**
 * How the process itself is doing: how late its event loop is, and how full its heap. Looked at a few
 * times a second by a timer that keeps nothing alive.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { type Clock, systemClock, type Timer } from '../../core/clock.ts'

/** What is measured. */
export interface PressureReading {
  /** How late timers were of late, in ms (mean of a quarter of a second). */
  readonly eventLoopDelay: number
  /** Share of the heap limit that is in use, 0 to 1. */
  readonly heapUsed: number
}

/** From where on requests are refused. */
export interface PressureLimits {
  readonly maxEventLoopDelay: number
  readonly maxHeapUsed: number
}

const PERIOD = 250
const RESOLUTION = 10

export class Pressure {
  readonly #limits: PressureLimits
  readonly #clock: Clock
  #histogram: IntervalHistogram | undefined
  #timer: Timer | undefined
  /** Of all that was measured so far: how many ticks, and how long they took in sum, in ns. */
  #ticks = 0
  #total = 0
  #reading: PressureReading = { eventLoopDelay: 0, heapUsed: 0 }

  constructor(limits: PressureLimits, clock: Clock = systemClock) {
    this.#limits = limits
    this.#clock = clock
  }

  get reading(): PressureReading {
    return this.#reading
  }

  /** Begins to look, once there is something to look for. */
  start(): void {
    const { maxEventLoopDelay, maxHeapUsed } = this.#limits
    if (this.#timer !== undefined) return
    if (maxEventLoopDelay === Number.POSITIVE_INFINITY && maxHeapUsed >= 1) return
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION })
    this.#histogram.enable()
    this.#ticks = 0
    this.#total = 0
    this.#arm()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#histogram?.disable()
    this.#histogram = undefined
  }

  /**
   * How much of the load should be refused, 0 to 1: nothing below the limits, everything at twice the
   * delay or with the heap full, in proportion between. All or nothing would swing to and fro.
   */
  get excess(): number {
    const { maxEventLoopDelay, maxHeapUsed } = this.#limits
    const { eventLoopDelay, heapUsed } = this.#reading
    const late = (eventLoopDelay - maxEventLoopDelay) / maxEventLoopDelay
    const full = maxHeapUsed >= 1 ? 0 : (heapUsed - maxHeapUsed) / (1 - maxHeapUsed)
    return Math.min(1, Math.max(0, Number.isNaN(late) ? 0 : late, full))
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(this.#look, PERIOD)
    this.#timer.unref()
  }

  readonly #look = (): void => {
    const { count = 0, mean = 0 } = this.#histogram ?? {}
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
    let { eventLoopDelay } = this.#reading
    // The histogram is never reset: the first tick after that would only begin to measure, and a block
    // before it would go unseen. A loop that made no tick in a period is as late as it was.
    if (count > this.#ticks) {
      const total = mean * count
      const length = (total - this.#total) / (count - this.#ticks)
      eventLoopDelay = Math.max(0, length / 1e6 - RESOLUTION)
      this.#ticks = count
      this.#total = total
    }
    this.#reading = { eventLoopDelay, heapUsed: used / limit }
    this.#arm()
  }
}
