/**
 * The front of the sliding windows: which kinds there are, and how one is made from its description.
 * The circuit breaker reads its rates from them.
 */

import { type CountWindow, countWindow, RecentCalls } from './count-window.ts'
import { show } from './options.ts'
import type { OutcomeWindow } from './outcome-window.ts'
import { RecentTime, type TimeWindow, timeWindow } from './time-window.ts'

export type {
  CountSnapshot,
  OutcomeWindow,
  TimeSnapshot,
  WindowSnapshot,
} from './outcome-window.ts'
export { type CountWindow, countWindow, type TimeWindow, timeWindow }

/** What a window remembers, for the `window` option of a circuit breaker. */
export type WindowDescription = CountWindow | TimeWindow

/**
 * Makes an empty window as described, also when the description was written by hand.
 *
 * @throws TypeError or RangeError if the description is not a window's.
 */
export function createWindow(description: WindowDescription): OutcomeWindow {
  switch (description?.type) {
    case 'count':
      return new RecentCalls(countWindow(description.size).size)
    case 'time': {
      const { duration, buckets } = timeWindow(description.duration, description.buckets)
      return new RecentTime(duration, buckets)
    }
    default:
      throw new TypeError(
        `window must be countWindow(size) or timeWindow(duration), but was ${show(description)}`,
      )
  }
}
