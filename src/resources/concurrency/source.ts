/**
 * Where the items of a run come from: an array is read by index, which costs no object per item,
 * everything else by its iterator. What it throws is for the run to hear.
 */
import { show } from '../../core/options.ts'

/** Items that have a finite or endless number, now or later. */
export type Items<T> = Iterable<T> | AsyncIterable<T>

/** No item: one may be anything, `undefined` too. */
export const NONE: unique symbol = Symbol('none')

export class Source {
  /** In place of an iterator: an array that has no iterator of its own. */
  readonly list: readonly unknown[] | undefined
  readonly isAsync: boolean
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown> | undefined

  /** Opens it. */
  constructor(items: Items<unknown>) {
    const given = items as Partial<AsyncIterable<unknown> & Iterable<unknown>> | undefined
    const later = given?.[Symbol.asyncIterator]
    const open = later ?? given?.[Symbol.iterator]
    this.isAsync = later !== undefined && later !== null
    if (open === Array.prototype.values && Array.isArray(items)) {
      this.list = items
      return
    }
    if (typeof open !== 'function') {
      throw new TypeError(`mapConcurrent: items must be iterable, but were ${show(items)}`)
    }
    this.#iterator = (open as () => Iterator<unknown>).call(items)
  }

  /** The next item of an input that has it at once. */
  next(): unknown {
    const step = (this.#iterator as Iterator<unknown>).next()
    return step.done === true ? NONE : checked(step).value
  }

  async read(): Promise<unknown> {
    const step = await (this.#iterator as AsyncIterator<unknown>).next()
    return step.done === true ? NONE : checked(step).value
  }

  /** It is not read to its end. May throw. */
  close(): unknown {
    return this.#iterator?.return?.()
  }
}

/** As a loop of the language does: an iterator that answers no result would otherwise never end. */
function checked(step: IteratorResult<unknown>): IteratorResult<unknown> {
  if (typeof step === 'object' || typeof step === 'function') return step
  throw new TypeError(
    `mapConcurrent: next() of the items must give an object, but gave ${show(step)}`,
  )
}

/** How many there are, where the input knows. */
export function sizeOf(items: unknown): number | undefined {
  const { length, size } = items as { length?: unknown; size?: unknown }
  if (Array.isArray(items)) return length as number
  return items instanceof Set || items instanceof Map ? (size as number) : undefined
}
