/** Waits that end. */
import type { Clock } from '../../core/clock.ts'

/** Whether `promise` settles within `timeout` ms. */
export function settlesWithin(
  clock: Clock,
  promise: Promise<unknown>,
  timeout: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(() => resolve(false), timeout)
    const settle = (): void => {
      timer.cancel()
      resolve(true)
    }
    promise.then(settle, settle)
  })
}
