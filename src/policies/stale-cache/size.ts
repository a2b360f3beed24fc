/**
 * How many bytes a value takes, roughly: enough to bound a memory, without asking the engine.
 */

/** What an object, an entry of a list or a number takes by itself. */
const CELL = 8
const OBJECT = 48

/** Adds up what can be reached from `value`, each object once, and stops when it is more than `most`. */
export function roughSize(value: unknown, most: number): number {
  const seen = new Set<object>()
  const open: unknown[] = [value]
  let bytes = 0
  while (open.length > 0 && bytes <= most) {
    const one = open.pop()
    bytes += CELL
    if (typeof one === 'string') bytes += 2 * one.length
    else if (typeof one === 'object' && one !== null && !seen.has(one)) {
      seen.add(one)
      bytes += OBJECT + sizeOfParts(one, open)
    }
  }
  return bytes
}

/** Bytes of an object's own data; what has to be looked at besides is put on `open`. */
function sizeOfParts(object: object, open: unknown[]): number {
  if (object instanceof ArrayBuffer || ArrayBuffer.isView(object)) return object.byteLength
  if (object instanceof Map) for (const pair of object) open.push(...pair)
  else if (object instanceof Set) open.push(...object)
  let bytes = 0
  for (const key of Object.keys(object)) {
    // A getter may do anything, and what it makes is not kept.
    const member = Object.getOwnPropertyDescriptor(object, key)
    if (!Array.isArray(object)) bytes += 2 * key.length
    if (member !== undefined && 'value' in member) open.push(member.value)
  }
  return bytes
}
