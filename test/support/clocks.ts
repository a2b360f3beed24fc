/** Clocks of tests besides the virtual one. */
import type { Clock } from 'holdfast'

/**
 * The same time with turns: as on the machine's clock, time is read once per turn of the event loop, and
 * limits are set at its end. A virtual clock by itself is exact and knows no turns.
 */
export function withTurns(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    wallTime: () => clock.wallTime(),
    setTimer: (callback, delay) => clock.setTimer(callback, delay),
    defer: (callback) => void setImmediate(callback),
  }
}
