/**
 * Which calls are the same call. Whoever gets a key wrong gives one user's answer to another, so nothing
 * is guessed: a key is text that the user's own function makes.
 */
import { quiet } from './events.ts'
import { show } from './options.ts'

/** Makes the key of a call from the arguments of the wrapped function; undefined for a call of its own. */
export type CallKey = (...args: never[]) => string | undefined

/**
 * @throws TypeError if the function wants arguments and the call has none, or gives something else than
 * text; and whatever the function throws.
 */
export function callKey(
  policy: string,
  key: CallKey,
  args: readonly unknown[],
): string | undefined {
  // Without its arguments `(id) => id` gives every call the same key.
  if (key.length > 0 && args.length === 0) {
    throw new TypeError(
      `"${policy}": key wants ${key.length} argument(s), but the call has none; not called; use wrap(fn), or pass them: execute(operation, { args: [id] })`,
    )
  }
  const made: unknown = quiet((key as (...args: readonly unknown[]) => unknown)(...args))
  if (made === undefined || typeof made === 'string') return made
  throw new TypeError(
    `"${policy}": key must give a string, or undefined for a call that is not shared, but gave ${show(made)}; not called`,
  )
}
