/**
 * A promise for each of many values that come together. All follow one promise, whose handlers run in the
 * order in which they were attached: so one handler that counts serves all, where a promise that is settled
 * by hand needs two functions of its own.
 */
import { capture, rejectNew, resolveNew } from '../../core/handles.ts'

export class Handout {
  readonly #asked: number[] = []
  #given = 0
  #values: readonly unknown[] = []
  readonly #come: Promise<unknown> = new Promise(capture)
  readonly #resolve: (value: unknown) => void = resolveNew
  readonly #reject: (error: unknown) => void = rejectNew

  /** The value at `position`: rejected if it is an `Error`. */
  promiseOf(position: number): Promise<unknown> {
    this.#asked.push(position)
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
    const value = this.#values[this.#asked[this.#given++] as number]
    if (value instanceof Error) throw value
    return value
  }
}
