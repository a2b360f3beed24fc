/**
 * Calls a user's function, whatever it does: a value, a throw and a foreign thenable all become one
 * native promise, so that everything behind has a single case to handle.
 */
import type { Context } from './policy.ts'

export function begin(
  operation: (context: Context) => unknown,
  context: Context,
): Promise<unknown> {
  try {
    const work = operation(context)
    // A subclass may have a `then` of its own that calls back twice: only the plain class is trusted.
    return work instanceof Promise && work.constructor === Promise ? work : Promise.resolve(work)
  } catch (error) {
    return Promise.reject(error)
  }
}
