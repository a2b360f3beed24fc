/** What the marks of a snippet compile to; see snippets.ts. */
import { expect } from 'vitest'

/** `expression // => value`: deep equality, or a subset where the value ends in `...`. */
export function same<T>(actual: T, expected: unknown, part: boolean, where: string): T {
  if (part) expect(actual, where).toMatchObject(expected as object)
  else expect(actual, where).toEqual(expected)
  return actual
}

/** `expression // throws Name: words of its message`: the class may be the error's own or a parent. */
export async function throws(
  operation: () => unknown,
  name: string,
  words: string,
  where: string,
): Promise<void> {
  let thrown: unknown
  let ended = false
  try {
    await operation()
    ended = true
  } catch (error) {
    thrown = error
  }
  if (ended) expect.fail(`${where} ended well instead of throwing ${name}`)
  expect(namesOf(thrown), `${where} threw ${String(thrown)}`).toContain(name)
  if (words) expect(String((thrown as Error).message), where).toContain(words)
}

function namesOf(error: unknown): string[] {
  const names = [(error as { name?: string } | null)?.name ?? '']
  for (let at = error; at !== null && typeof at === 'object'; at = Object.getPrototypeOf(at)) {
    names.push(at.constructor?.name ?? '')
  }
  return names
}
