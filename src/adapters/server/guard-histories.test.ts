/** Random histories of arrivals, ends, disconnects and changes of size against a naive account of them. */
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { guardOf, type Visitor, visitor } from '../../../test/support/guarded.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const act = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('arrive'),
      priority: fc.integer({ min: -11, max: 11 }),
      left: fc.constantFrom('', '0', '15', '60', '-1', '5e9'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('end', 'go'), who: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 0, max: 120 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('resize'), to: fc.integer({ min: 1, max: 4 }) }),
  },
) as fc.Arbitrary<{
  kind: string
  priority?: number
  left?: string
  who?: number
  ms?: number
  to?: number
}>

const MAX_WAIT = 100

interface Known extends Visitor {
  readonly since: number
  readonly endsAtOnce: boolean
  isOver: boolean
}

it('answers nobody twice, forgets nobody, and keeps account of every slot, in any history', () => {
  const options = fc.record({
    maxConcurrent: fc.integer({ min: 1, max: 3 }),
    maxQueue: fc.constantFrom(0, 1, 3, Number.POSITIVE_INFINITY),
    targetWait: fc.constantFrom(0, 10, MAX_WAIT),
    deadlines: fc.constantFrom('enforce', 'measure', 'ignore'),
    maxDeadlineRefusals: fc.constantFrom(0, 0.2, 1),
  })
  const histories = fc.property(
    options,
    fc.array(act, { maxLength: 60 }),
    fc.boolean(),
    (chosen, acts, closes) => {
      const guard = guardOf({
        ...chosen,
        maxWait: MAX_WAIT,
        priority: ({ header }) => Number(header('p')),
      })
      const all: Known[] = []
      let limit = chosen.maxConcurrent
      const entered = (who: Known) => who.fates[0] === 'entered'
      const running = () => all.filter((who) => entered(who) && !who.isOver).length
      const queued = () => all.filter((who) => who.fates.length === 0 && !who.isOver).length
      const check = () => {
        const { running: works, queued: stands, admitted, refused, disconnected } = guard.stats()
        expect([works, stands]).toEqual([running(), queued()])
        expect(works < limit ? stands : 0).toBe(0)
        expect(stands).toBeLessThanOrEqual(chosen.maxQueue)
        const out = Object.values(refused).reduce((sum, one) => sum + one, 0)
        expect(admitted + out + disconnected + stands).toBe(all.length)
        for (const who of all) {
          expect(who.fates.length).toBeLessThanOrEqual(1)
          const waits = who.fates.length === 0 && !who.isOver
          if (waits) expect(performance.now() - who.since).toBeLessThanOrEqual(MAX_WAIT + 2)
        }
      }
      for (const { kind, priority, left, who, ms, to } of acts) {
        if (kind === 'arrive') {
          const endsAtOnce = all.length % 5 === 4
          const headers = {
            p: String(priority),
            ...(left === '' ? {} : { 'x-deadline-ms': left as string }),
          }
          const before = running()
          const one: Known = Object.assign(
            visitor(headers, (self) => {
              if (!endsAtOnce) return
              one.isOver = true
              self.end()
            }),
            { since: performance.now(), endsAtOnce, isOver: false },
          )
          all.push(one)
          guard.take(one)
          if (before >= limit) expect(running()).toBe(before)
        } else if (kind === 'wait') vi.advanceTimersByTime(ms as number)
        else if (kind === 'resize') {
          limit = to as number
          guard.resize(limit)
        } else {
          const one = all[(who as number) % Math.max(1, all.length)]
          if (one === undefined || one.isOver || (kind === 'end' && !entered(one))) continue
          if (one.fates.length > 0 && !entered(one)) continue
          one.isOver = true
          if (kind === 'end') one.end()
          else one.go()
        }
        check()
      }
      if (closes) guard.close()
      else vi.advanceTimersByTime(MAX_WAIT + 5)
      for (const one of all) {
        if (!entered(one) || one.isOver) continue
        one.isOver = true
        one.end()
      }
      vi.advanceTimersByTime(MAX_WAIT + 5)
      check()
      expect(guard.stats()).toMatchObject({ running: 0, queued: 0 })
      for (const one of all) expect(one.isOver || one.fates.length === 1).toBe(true)
      expect(vi.getTimerCount()).toBe(0)
    },
  )
  fc.assert(histories, { numRuns: 1_500 })
})
