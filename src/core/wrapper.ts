/** Wrappers that look like what they wrap: frameworks go by the name of a function and by its length. */
export function resembling<F extends object>(
  wrapper: F,
  { name, length }: { name: string; length: number },
): F {
  return Object.defineProperties(wrapper, {
    name: { value: name, configurable: true },
    length: { value: length, configurable: true },
  })
}
