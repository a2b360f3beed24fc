import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Semaphore, Waiter } from '../../src/core/semaphore.ts'
import { holds } from './seed.ts'
import { same } from './turn.ts'

type Where = 'waiting' | 'holding' | 'gone'

/** The same semaphore as a list that is searched and sorted: slow, and plainly right. */
class NaiveSemaphore {
  readonly everybody: { where: Where; readonly priority: number }[] = []
  limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  in(where: Where): number[] {
    return [...this.everybody.keys()].filter((who) => this.everybody[who]?.where === where)
  }

  /** Whoever comes gets a permit if one is free, and stands in line otherwise. */
  enter(priority: number): void {
    this.everybody.push({ where: 'waiting', priority })
    this.serve()
  }

  leave(who: number): void {
    const one = this.everybody[who]
    if (one !== undefined) one.where = 'gone'
    this.serve()
  }

  resize(limit: number): void {
    this.limit = limit
    this.serve()
  }

  serve(): void {
    const priorityOf = (who: number): number => this.everybody[who]?.priority ?? 0
    const line = this.in('waiting').sort((a, b) => priorityOf(b) - priorityOf(a) || a - b)
    for (const who of line) {
      const one = this.everybody[who]
      if (one !== undefined && this.in('holding').length < this.limit) one.where = 'holding'
    }
  }
}

type Step =
  | ['enter', number]
  | ['leave' | 'leave holding' | 'leave again', number]
  | ['resize', number]

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.tuple(
      fc.constant('enter' as const),
      fc.oneof(fc.constant(0), fc.integer({ min: -10, max: 10 })),
    ),
  },
  { weight: 20, arbitrary: fc.tuple(fc.constant('leave' as const), fc.nat(100)) },
  { weight: 20, arbitrary: fc.tuple(fc.constant('leave holding' as const), fc.nat(100)) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('leave again' as const), fc.nat(100)) },
  {
    weight: 10,
    arbitrary: fc.tuple(fc.constant('resize' as const), fc.integer({ min: 1, max: 6 })),
  },
)

class Guest extends Waiter {
  readonly onGrant: () => void

  constructor(priority: number, onGrant: () => void) {
    super(priority)
    this.onGrant = onGrant
  }
}

describe('a Semaphore', () => {
  it('never grants more than its limit, serves in line, and loses no permit', () => {
    const limits = fc.integer({ min: 1, max: 5 })

    holds(
      fc.property(limits, fc.array(step, { maxLength: 100 }), (limit, history) => {
        const semaphore = new Semaphore(limit)
        const naive = new NaiveSemaphore(limit)
        const holding = new Set<number>()
        const waiters: (Waiter | undefined)[] = []

        const enter = (priority: number): void => {
          const who = waiters.length
          naive.enter(priority)
          waiters.push(undefined)
          if (semaphore.tryAcquire()) holding.add(who)
          else {
            const onGrant = (): void => {
              same(holding.has(who), false)
              holding.add(who)
            }
            const waiter = new Guest(priority, onGrant)
            waiters[who] = waiter
            semaphore.enqueue(waiter)
          }
        }
        const leave = (who: number | undefined): void => {
          if (who === undefined) return
          const waiter = waiters[who]
          // Before the permit is given back: whoever is served next must not meet us there.
          holding.delete(who)
          naive.leave(who)
          if (waiter === undefined) semaphore.release()
          else semaphore.abandon(waiter)
        }

        for (const [kind, choice] of history) {
          const present = [...naive.in('waiting'), ...naive.in('holding')]
          const held = naive.in('holding')
          switch (kind) {
            case 'enter':
              enter(choice)
              break
            case 'leave':
              leave(present[choice % present.length])
              break
            case 'leave holding':
              leave(held[choice % held.length])
              break
            case 'leave again': {
              const gone = naive.in('gone').filter((who) => waiters[who] !== undefined)
              const waiter = waiters[gone[choice % gone.length] ?? -1]
              if (waiter !== undefined) semaphore.abandon(waiter)
              break
            }
            case 'resize':
              naive.resize(choice)
              semaphore.resize(choice)
          }

          same([...holding].sort((a, b) => a - b).join(), naive.in('holding').join())
          same(semaphore.queued, naive.in('waiting').length)
          same(semaphore.gate.running, holding.size)
          same(semaphore.gate.limit, naive.limit)
        }

        while (naive.in('holding').length > 0) leave(naive.in('holding')[0])
        expect([semaphore.queued, semaphore.gate.running]).toEqual([0, 0])
        for (let taken = 0; taken < naive.limit; taken++) same(semaphore.tryAcquire(), true)
        same(semaphore.tryAcquire(), false)
      }),
    )
  }, 300_000)
})
