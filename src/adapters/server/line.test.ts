import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Waiter, WaitingLine } from './line.ts'

const standing = (
  name: string,
  since: number,
  { priority = 0, deadline = Number.POSITIVE_INFINITY } = {},
): Waiter & { readonly name: string; readonly refused: string[] } => {
  const refused: string[] = []
  return {
    name,
    priority,
    since,
    deadline,
    refused,
    serve() {},
    refuse: (why) => refused.push(why),
  }
}

const named = (waiter: Waiter | undefined) => (waiter as { name: string } | undefined)?.name

describe('a line before a server', () => {
  it('serves the most important first, then whoever came first', () => {
    const line = new WaitingLine(0, 20, 500)
    line.join(standing('a', 0), 0)
    line.join(standing('b', 1), 1)
    line.join(standing('vip', 2, { priority: 5 }), 2)

    expect([line.shift(3), line.shift(3), line.shift(3), line.shift(3)].map(named)).toEqual([
      'vip',
      'a',
      'b',
      undefined,
    ])
  })

  it('serves the newest first once it has not been empty for too long, and nobody waits long', () => {
    const line = new WaitingLine(0, 20, 500)
    const old = standing('old', 0)
    line.join(old, 0)
    line.join(standing('a', 490), 490)
    line.join(standing('b', 495), 495)
    line.join(standing('c', 500), 500)

    expect(line.overloaded(500)).toBe(false)
    expect(line.overloaded(501)).toBe(true)
    expect(line.patience(501)).toBe(20)
    expect([line.shift(501), line.shift(501), line.shift(501)].map(named)).toEqual(['c', 'b', 'a'])
    expect(old.refused).toEqual(['wait'])
  })

  it('knows the newest still when thousands have come and gone', () => {
    const line = new WaitingLine(0, 600, 500)
    line.join(standing('first', 0), 0)
    line.join(standing('second', 1), 1)
    for (let n = 0; n < 1_000; n++) {
      const passing = standing(`passing ${n}`, 2)
      line.join(passing, 2)
      line.leave(passing)
    }
    line.join(standing('last', 3), 3)

    expect(line.overloaded(501)).toBe(true)
    expect([line.shift(501), line.shift(501), line.shift(501)].map(named)).toEqual([
      'last',
      'second',
      'first',
    ])
  })

  it('is patient again as soon as it has been empty', () => {
    const line = new WaitingLine(0, 20, 500)
    line.join(standing('a', 0), 0)
    line.join(standing('b', 600), 600)
    expect(line.overloaded(601)).toBe(true)

    line.shift(601)
    line.shift(601)
    line.join(standing('c', 610), 610)

    expect(line.patience(700)).toBe(500)
  })

  it('refuses whoever has waited as long as may be, and whose caller has given up', () => {
    const line = new WaitingLine(0, 20, 500)
    const [late, hasty, well] = [
      standing('late', 0),
      standing('hasty', 400, { deadline: 450 }),
      standing('well', 400),
    ]
    for (const waiter of [late, hasty, well]) line.join(waiter, waiter.since)

    line.sweep(500)
    expect([late.refused, hasty.refused, well.refused]).toEqual([[], ['deadline'], []])
    line.sweep(501)

    expect([late.refused, line.size]).toEqual([['wait'], 0])
    expect(well.refused).toEqual(['wait'])
  })

  it('says when somebody must look at it again', () => {
    const line = new WaitingLine(0, 20, 500)
    expect(line.nextDue(0)).toBe(Number.POSITIVE_INFINITY)
    line.join(standing('a', 100), 100)
    expect(line.nextDue(100)).toBe(600)
    line.join(standing('b', 200, { priority: 3 }), 200)
    line.join(standing('hasty', 300, { deadline: 450 }), 300)

    expect(line.nextDue(300)).toBe(450)
    line.sweep(451)
    line.join(standing('c', 595), 595)
    line.sweep(601)

    expect([line.size, line.nextDue(601)]).toEqual([1, 615])
  })

  it('overlooks a caller that has given up when it must, once and for all', () => {
    const asked: number[] = []
    const line = new WaitingLine(0, 20, 500, (now) => asked.push(now) === 0)
    const hasty = standing('hasty', 0, { deadline: 50 })
    line.join(hasty, 0)
    line.sweep(60)
    line.sweep(70)

    expect([asked, hasty.refused, line.nextDue(70)]).toEqual([[60], [], 500])
  })

  it('makes place for somebody more important, from the least important that waited longest', () => {
    const line = new WaitingLine(0, 20, 500)
    const [low, lower, high] = [
      standing('low', 0),
      standing('lower', 1, { priority: -3 }),
      standing('high', 2, { priority: 3 }),
    ]
    for (const waiter of [low, lower, high]) line.join(waiter, waiter.since)

    expect([line.displace(0), line.displace(0), line.displace(3), line.displace(3)]).toEqual([
      true,
      false,
      true,
      false,
    ])
    expect([lower.refused, low.refused, high.refused]).toEqual([['displaced'], ['displaced'], []])
  })

  it('loses nobody and refuses nobody twice, whatever happens', () => {
    const act = fc.record({
      kind: fc.constantFrom('join', 'shift', 'leave', 'sweep', 'displace'),
      priority: fc.integer({ min: -10, max: 10 }),
      wait: fc.integer({ min: 0, max: 60 }),
      who: fc.nat({ max: 30 }),
    })
    fc.assert(
      fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
        const line = new WaitingLine(0, 20, 100)
        const all: ReturnType<typeof standing>[] = []
        const out = new Map<string, number>()
        const gone = (name: string) => out.set(name, (out.get(name) ?? 0) + 1)
        let now = 0
        for (const { kind, priority, wait, who } of acts) {
          now += wait
          if (kind === 'join') {
            const waiter = standing(`w${all.length}`, now, { priority })
            all.push(waiter)
            line.join(waiter, now)
          } else if (kind === 'shift') {
            const next = line.shift(now)
            if (next !== undefined) gone(named(next) as string)
          } else if (kind === 'sweep') line.sweep(now)
          else if (kind === 'displace') line.displace(priority)
          else {
            const waiter = all[who]
            if (waiter !== undefined && line.leave(waiter)) gone(waiter.name)
          }
          for (const { name, refused } of all) if (refused.length > 0) out.set(name, refused.length)
          expect(line.size).toBe(all.length - out.size)
        }
        expect([...out.values()].every((times) => times === 1)).toBe(true)
      }),
      { numRuns: 1_000 },
    )
  })
})
