/**
 * Ends the wait for ever: when a function waits for the limiter whose slot it holds, no slot ever comes
 * free. Nobody can tell such a call from another, so what counts is that the line does not move.
 *
 * One alarm for the whole line, set when somebody joins it and taken away with the last: a call that
 * waits costs no look at the clock. Whoever stood there when it was set, and still does when it rings
 * and nothing has moved, is refused: after one to two times `stallTimeout`.
 */
import { Alarm } from '../../core/alarm.ts'
import type { Clock } from '../../core/clock.ts'
import { type Pulse, pulseOf } from '../../core/pulse.ts'
import { stackless } from '../../core/stackless.ts'
import { LimiterFullError } from './errors.ts'
import type { Slots } from './slots.ts'

/** What a limiter is made with. */
export interface StallSettings {
  readonly name: string
  readonly maxQueue: number
  readonly stallTimeout: number
  readonly clock: Clock
}

/** How a limiter stands. */
type Line = Pick<Slots, 'running' | 'queued' | 'size'>

export class StallGuard {
  readonly #slots: Slots
  readonly #settings: StallSettings
  readonly #pulse: Pulse
  readonly #alarm: Alarm
  /** Grants, and places taken, when the alarm was set. */
  #grants = 0
  #places = 0

  constructor(slots: Slots, settings: StallSettings) {
    this.#slots = slots
    this.#settings = settings
    this.#pulse = pulseOf(settings.clock)
    this.#alarm = new Alarm(this.#pulse, () => this.#look())
  }

  /** Somebody stands in line. */
  watch(): void {
    this.#grants = this.#slots.grants
    this.#places = this.#slots.places
    this.#alarm.move(this.#pulse.now() + this.#settings.stallTimeout)
  }

  /** Nobody does. */
  rest(): void {
    this.#alarm.move(Number.POSITIVE_INFINITY)
  }

  /** Why somebody is refused. */
  refusal(stalled: number, line: Line = this.#slots): LimiterFullError {
    const { running, queued, size } = line
    const { name, maxQueue } = this.#settings
    const facts = { running, queued, concurrency: size, maxQueue, stalled }
    return stackless(() => new LimiterFullError(name, facts))
  }

  #look(): void {
    const slots = this.#slots
    const { stallTimeout } = this.#settings
    if (slots.grants === this.#grants) {
      const { running, queued, size } = slots
      slots.refuse(this.#places, () => this.refusal(stallTimeout, { running, queued, size }))
    }
    if (slots.queued > 0) this.watch()
  }
}
