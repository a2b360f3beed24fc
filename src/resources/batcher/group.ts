/**
 * Those who wait: a `loadMany`, which has one promise for all its keys and only remembers where they
 * went, in runs; and whoever may change its mind.
 */
import type { Batch, Part } from './batch.ts'

/** The keys of one `loadMany`, wherever they went. */
export class Group {
  readonly size: number
  #values: unknown[] | undefined
  readonly #parts = new Map<Batch, BatchPart>()
  #last: BatchPart | undefined
  #left = 0
  #resolve: ((values: unknown[]) => void) | undefined

  constructor(size: number) {
    this.size = size
  }

  get values(): unknown[] {
    this.#values ??= new Array(this.size)
    return this.#values
  }

  set values(values: unknown[]) {
    this.#values = values
  }

  /** The values from `target` on will be those from `position` on in the batch. */
  expect(target: number, batch: Batch, position: number, length: number): void {
    let part = this.#last
    if (part?.batch !== batch) {
      part = this.#parts.get(batch)
      if (part === undefined) {
        part = new BatchPart(this, batch)
        this.#parts.set(batch, part)
        this.#left++
        batch.attach(part)
      }
      this.#last = part
    }
    part.add(target, position, length)
  }

  /** Calls back when every part is there. */
  whenWhole(resolve: (values: unknown[]) => void): void {
    this.#resolve = resolve
    if (this.#left === 0) resolve(this.values)
  }

  partDone(): void {
    if (--this.#left === 0) this.#resolve?.(this.values)
  }

  leave(): void {
    for (const part of this.#parts.values()) part.leave()
  }
}

/** The keys of a group in one batch: runs of target, position, length. */
class BatchPart implements Part {
  readonly batch: Batch
  readonly #group: Group
  readonly #runs: number[] = []

  constructor(group: Group, batch: Batch) {
    this.#group = group
    this.batch = batch
  }

  add(target: number, position: number, length: number): void {
    const runs = this.#runs
    const last = runs.length - 3
    const before = runs[last + 2] ?? 0
    const follows =
      last >= 0 && runs[last] === target - before && runs[last + 1] === position - before
    if (follows) runs[last + 2] = before + length
    else runs.push(target, position, length)
  }

  fill(values: readonly unknown[]): void {
    const runs = this.#runs
    if (runs[2] === this.#group.size) {
      // All of it, in order, from one batch: copied as a whole.
      const from = runs[1] as number
      this.#group.values = withoutHoles(values.slice(from, from + this.#group.size))
      return this.#group.partDone()
    }
    const { values: targets } = this.#group
    for (let run = 0; run < runs.length; run += 3) {
      const target = runs[run] as number
      const position = runs[run + 1] as number
      const length = runs[run + 2] as number
      for (let step = 0; step < length; step++) targets[target + step] = values[position + step]
    }
    this.#group.partDone()
  }

  fillWith(error: Error): void {
    this.#each((target) => {
      this.#group.values[target] = error
    })
    this.#group.partDone()
  }

  leave(): void {
    this.#each((_target, position) => this.batch.leave(position))
  }

  #each(visit: (target: number, position: number) => void): void {
    const runs = this.#runs
    for (let run = 0; run < runs.length; run += 3) {
      const [target = 0, position = 0, length = 0] = runs.slice(run, run + 3)
      for (let step = 0; step < length; step++) visit(target + step, position + step)
    }
  }
}

/** Whoever maps the values would pass over a hole. */
function withoutHoles(values: unknown[]): unknown[] {
  return values.includes(undefined) ? Array.from(values) : values
}
