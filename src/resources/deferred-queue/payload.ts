/**
 * Payloads to JSON and back. What comes out of a queue is what went in, or it does not go in: `JSON.stringify`
 * would drop functions, turn NaN into null and a Date into text, and nobody would know before the job runs.
 */
import { isResilienceError } from '../../core/errors.ts'
import { PayloadNotSerialisableError, PayloadTooLargeError } from '../../core/queue-errors.ts'

/** Deeper than this, runtimes run out of stack somewhere. */
const DEEPEST = 500

/**
 * @throws PayloadNotSerialisableError naming the place of what would be lost.
 * @throws PayloadTooLargeError above `maxBytes`.
 */
export function serialise(queue: string, payload: unknown, maxBytes: number): string {
  let text: string
  try {
    new Inspection(queue, maxBytes).visit(payload, 'payload', 0)
    text = JSON.stringify(payload)
  } catch (error) {
    if (isResilienceError(error)) throw error
    throw new PayloadNotSerialisableError(queue, 'payload', 'cannot be read', error)
  }
  const bytes = text.length * 3 <= maxBytes ? 0 : utf8Length(text)
  if (bytes > maxBytes) throw new PayloadTooLargeError(queue, bytes, maxBytes)
  return text
}

/** The payload, or undefined when it cannot be read. */
export function parse(text: string | undefined): { readonly payload: unknown } | undefined {
  if (text === undefined) return undefined
  try {
    return { payload: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

class Inspection {
  readonly #queue: string
  readonly #maxBytes: number
  readonly #above = new Set<object>()
  /** What the JSON takes at least. Counted on the way: a few shared objects can unfold to gigabytes. */
  #bytes = 0

  constructor(queue: string, maxBytes: number) {
    this.#queue = queue
    this.#maxBytes = maxBytes
  }

  visit(value: unknown, path: string, depth: number): void {
    switch (typeof value) {
      case 'string':
        return this.#count(value.length + 2)
      case 'boolean':
        return this.#count(4)
      case 'number':
        if (!Number.isFinite(value)) throw this.#fault(path, `is ${value}, which JSON cannot say`)
        return this.#count(1)
      case 'object':
        return value === null ? this.#count(4) : this.#visitObject(value, path, depth)
      default:
        throw this.#fault(path, value === undefined ? 'is undefined' : `is a ${typeof value}`)
    }
  }

  #visitObject(value: object, path: string, depth: number): void {
    if (this.#above.has(value)) throw this.#fault(path, 'leads back to itself')
    if (depth === DEEPEST) throw this.#fault(path, `is nested more than ${DEEPEST} deep`)
    this.#above.add(value)
    this.#count(2)
    this.#checkKind(value, path)
    if (Array.isArray(value)) {
      // By index: a hole would come out as null.
      for (let at = 0; at < value.length; at++) this.visit(value[at], `${path}[${at}]`, depth + 1)
      if (Object.keys(value).length > value.length) {
        throw this.#fault(path, 'is a list with names besides, which would be lost')
      }
    } else {
      this.#visitRecord(value, path, depth)
    }
    this.#above.delete(value)
  }

  /** Whether it is a plain list or object: of anything else something would be lost. */
  #checkKind(value: object, path: string): void {
    const own: unknown = Object.getPrototypeOf(value)
    // Above those of lists there is that of objects, also in another realm.
    const last: unknown = Array.isArray(value) && own !== null ? Object.getPrototypeOf(own) : own
    if (last !== null && Object.getPrototypeOf(last) !== null) {
      const kind = (value as { constructor?: { name?: string } }).constructor?.name ?? 'class'
      throw this.#fault(path, `is a ${kind}, which would come out as something else`)
    }
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
      throw this.#fault(path, 'has a method toJSON, so it would come out as something else')
    }
    if (Object.getOwnPropertySymbols(value).length > 0) {
      throw this.#fault(path, 'has a symbol among its names, which JSON cannot say')
    }
  }

  #visitRecord(value: object, path: string, depth: number): void {
    for (const [name, member] of Object.entries(value)) {
      // An optional property that was not given: absent before, absent after.
      if (member === undefined) continue
      this.#count(name.length + 3)
      this.visit(
        member,
        IDENTIFIER.test(name) ? `${path}.${name}` : `${path}["${name}"]`,
        depth + 1,
      )
    }
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > this.#maxBytes) {
      throw new PayloadTooLargeError(this.#queue, this.#bytes, this.#maxBytes)
    }
  }

  #fault(path: string, fault: string): PayloadNotSerialisableError {
    const end = path.length > 200 ? `...${path.slice(-200)}` : path
    return new PayloadNotSerialisableError(this.#queue, end, fault)
  }
}

const IDENTIFIER = /^[\p{L}_$][\p{L}\p{N}_$]*$/u

/** Bytes of a text as UTF-8. JSON has no lone surrogates: they are written as escapes. */
function utf8Length(text: string): number {
  let bytes = text.length
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) continue
    bytes += unit < 0x800 ? 1 : 2
    if (unit >= 0xd800 && unit < 0xdc00) {
      // Two units, four bytes.
      at++
    }
  }
  return bytes
}
