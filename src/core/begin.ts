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
    return isPlain(work) ? work : adopt(work)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** Apart, since a closure in a function costs each of its calls a context, made or not. */
export function adopt<T>(work: T | PromiseLike<T>): Promise<T> {
  return new Promise((resolve) => resolve(work))
}

/** Hangs handlers on a promise. What only looks like one has a `then` that throws. */
export function hang(
  work: Promise<unknown>,
  ok: (value: unknown) => unknown,
  er: (error: unknown) => unknown,
): Promise<unknown> {
  try {
    return work.then(ok, er)
  } catch (error) {
    return Promise.reject(error).then(ok, er)
  }
}

const { then } = Promise.prototype

/**
 * A `then` of its own, or of a subclass, may call back twice: only the plain class is trusted. What says
 * yes and is none throws in `then`: `hang` takes care of that. (`instanceof` costs as much as all this.)
 */
export function isPlain<T>(work: T | PromiseLike<T>): work is Promise<T> {
  const promise = work as Promise<T> | null | undefined
  return promise?.constructor === Promise && promise.then === then
}
