/**
 * A promise for each of many values that come together. All follow one promise, whose handlers run in the
 * order in which they were attached: so one handler that counts serves all, where a promise that is settled
 * by hand needs two functions of its own.
 */
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'

export class Handout {
  /** How many have asked, and were given theirs. */
  #asked = 0
  #given = 0
  /** Who asked for which position; undefined while they come in order, as they mostly do. */
  #positions: number[] | undefined
  #values: readonly unknown[] = []
  readonly #come: Promise<unknown> = new Promise(capture)
  readonly #resolve: (value: unknown) => void = resolveNew
  readonly #reject: (error: unknown) => void = rejectNew

  /** The value at `position`: rejected if it is an `Error`. */
  promiseOf(position: number): Promise<unknown> {
    if (position !== this.#asked) this.#positions ??= upTo(this.#asked)
    this.#positions?.push(position)
    this.#asked++
    return this.#come.then(this.#next)
  }

  give(values: readonly unknown[]): void {
    this.#values = values
    this.#resolve(undefined)
  }

  fail(error: unknown): void {
    this.#reject(error)
  }

  readonly #next = (): unknown => {
    const turn = this.#given++
    const value =
      this.#values[this.#positions === undefined ? turn : (this.#positions[turn] as number)]
    if (value instanceof Error) throw value
    return value
  }
}

function upTo(length: number): number[] {
  return Array.from({ length }, (_, position) => position)
}
