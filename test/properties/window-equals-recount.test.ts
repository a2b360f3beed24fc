import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  countWindow,
  createWindow,
  type OutcomeWindow,
  timeWindow,
  type WindowDescription,
} from '../../src/core/window.ts'
import { holds } from './seed.ts'

interface Outcome {
  readonly failed: boolean
  readonly slow: boolean
  readonly at: number
}

/** The same window as a list of everything that ever happened, recounted each time. */
class NaiveWindow {
  #outcomes: Outcome[] = []
  readonly #description: WindowDescription
  #latest = Number.NEGATIVE_INFINITY

  constructor(description: WindowDescription) {
    this.#description = description
  }

  record(failed: boolean, slow: boolean, now: number): void {
    this.#latest = Math.max(this.#latest, now)
    this.#outcomes.push({ failed, slow, at: this.#latest })
  }

  totals(now: number): number[] {
    this.#latest = Math.max(this.#latest, now)
    const remembered = this.#remembered()
    return [
      remembered.length,
      remembered.filter(({ failed }) => failed).length,
      remembered.filter(({ slow }) => slow).length,
    ]
  }

  reset(): void {
    this.#outcomes = []
  }

  #remembered(): Outcome[] {
    const description = this.#description
    if (description.type === 'count') return this.#outcomes.slice(-description.size)
    const { duration, buckets = 10 } = description
    const bucketOf = (at: number): number => Math.floor(at / (duration / buckets))
    return this.#outcomes.filter(({ at }) => bucketOf(at) > bucketOf(this.#latest) - buckets)
  }
}

type Step =
  | ['record', boolean, boolean]
  | ['advance', number]
  | ['step the clock', number]
  | ['reset']
  | ['restore']

const steps = (duration: number): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 20,
      arbitrary: fc.tuple(fc.constant('record' as const), fc.boolean(), fc.boolean()),
    },
    {
      weight: 10,
      arbitrary: fc.tuple(
        fc.constant('advance' as const),
        fc.oneof(
          fc.nat(Math.ceil(duration / 5)),
          fc.nat(2 * duration),
          // Idle for up to a billion windows.
          fc.integer({ min: 0, max: 1_000_000_000 }).map((windows) => windows * duration),
        ),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(
        fc.constant('step the clock' as const),
        fc.integer({ min: -3 * duration, max: 3 * duration }),
      ),
    },
    { weight: 1, arbitrary: fc.tuple(fc.constant('reset' as const)) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('restore' as const)) },
  )

/** A window that has lived through a snapshot is the same window. */
function moved(window: OutcomeWindow, description: WindowDescription, now: number): OutcomeWindow {
  const successor = createWindow(description)
  successor.record(true, true, now)
  successor.restore(JSON.parse(JSON.stringify(window.snapshot(now))), now)
  return successor
}

function equalsRecount(description: WindowDescription, history: readonly Step[]): void {
  let window = createWindow(description)
  const naive = new NaiveWindow(description)
  let now = 0
  let latest = 0

  for (const [kind, first, second] of history) {
    switch (kind) {
      case 'record':
        naive.record(first, second as boolean, now)
        window.record(first, second as boolean, now)
        break
      case 'advance':
      case 'step the clock':
        now += first
        break
      case 'reset':
        naive.reset()
        window.reset()
        break
      case 'restore':
        // What a clock that was stepped back says now is no time to take a snapshot by.
        window = moved(window, description, Math.max(now, latest))
        naive.totals(Math.max(now, latest))
    }
    latest = Math.max(now, latest)

    const totals = [window.total(now), window.failures(now), window.slow(now)]
    expect(totals).toEqual(naive.totals(now))
  }
}

describe('a window equals a recount of everything that happened', () => {
  it('by count', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(100))

    holds(
      fc.property(
        size,
        fc.array(steps(100), { maxLength: 150, size: 'max' }),
        (length, history) => {
          equalsRecount(countWindow(length), history)
        },
      ),
    )
  })

  it('by time', () => {
    // Widths without a remainder: what is recounted by another formula must round alike.
    const shape = fc.constantFrom<[number, number]>([1_000, 10], [64, 1], [300, 3], [10_000, 100])

    holds(
      fc.property(
        shape.chain(([duration, buckets]) =>
          fc.tuple(
            fc.constant(timeWindow(duration, buckets)),
            fc.array(steps(duration), { maxLength: 150, size: 'max' }),
          ),
        ),
        ([description, history]) => {
          equalsRecount(description, history)
        },
      ),
    )
  })
})
