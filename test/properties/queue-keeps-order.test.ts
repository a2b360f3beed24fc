import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Ticket, WaitQueue } from '../../src/core/queue.ts'
import { holds } from './seed.ts'
import { same } from './turn.ts'

/** The same queue as a list that is searched and sorted: slow, and plainly right. */
class NaiveQueue {
  #waiting: { value: number; priority: number }[] = []

  get values(): number[] {
    return this.#waiting
      .toSorted((a, b) => b.priority - a.priority || a.value - b.value)
      .map(({ value }) => value)
  }

  push(value: number, priority: number): void {
    this.#waiting.push({ value, priority })
  }

  remove(value: number | undefined): boolean {
    const before = this.#waiting.length
    this.#waiting = this.#waiting.filter((other) => other.value !== value)
    return this.#waiting.length < before
  }
}

type Step = ['push', number] | ['shift'] | ['remove', number] | ['clear']

const priority = fc.oneof(fc.integer({ min: -10, max: 10 }), fc.constantFrom(0, 0, 1))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 50, arbitrary: fc.tuple(fc.constant('push' as const), priority) },
  { weight: 20, arbitrary: fc.tuple(fc.constant('shift' as const)) },
  { weight: 25, arbitrary: fc.tuple(fc.constant('remove' as const), fc.nat(100)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const)) },
)

describe('a WaitQueue', () => {
  it('does what a sorted list does, whatever its history', () => {
    holds(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (history) => {
        const queue = new WaitQueue<number>()
        const naive = new NaiveQueue()
        const tickets: Ticket[] = []

        for (const [kind, choice] of history) {
          const before = naive.values
          switch (kind) {
            case 'push':
              naive.push(tickets.length, choice)
              tickets.push(queue.push(tickets.length, choice))
              break
            case 'shift':
              naive.remove(before[0])
              same(queue.shift(), before[0])
              break
            case 'remove': {
              // Any ticket ever given, so that most leave twice, or after they were served.
              const chosen = tickets.length === 0 ? 0 : choice % tickets.length
              const ticket = tickets[chosen] ?? { priority: 0 }
              same(queue.remove(ticket), naive.remove(chosen))
              break
            }
            case 'clear':
              for (const value of before) naive.remove(value)
              expect(queue.clear()).toEqual(before)
          }

          const after = naive.values
          same(queue.size, after.length)
          same(queue.peek(), after[0])
          same([...queue].join(), after.join())
        }
      }),
    )
  })
})
