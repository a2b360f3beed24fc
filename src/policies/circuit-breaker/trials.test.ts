import { describe, expect, it } from 'vitest'
import { type Trial, Trials } from './trials.ts'

function begin(trials: Trials, now: number): Trial {
  const trial = trials.tryBegin(now)
  return trial ?? expect.fail('no place for a trial')
}

describe('Trials', () => {
  it('has as many places as it wants trials, and no more', () => {
    const trials = new Trials(2, 100)

    expect(begin(trials, 0)).toMatchObject({ kind: 'permit', expired: false, expiresAt: 100 })
    expect(begin(trials, 10).expiresAt).toBe(110)

    expect(trials.tryBegin(10)).toBeUndefined()
  })

  it('is done with the last success that it wants, not before', () => {
    const trials = new Trials(3, 100)
    const [first, second, third] = [begin(trials, 0), begin(trials, 0), begin(trials, 0)]

    expect([trials.succeed(second), trials.succeed(first), trials.succeed(third)]).toEqual([
      false,
      false,
      true,
    ])
  })

  it('keeps the place of a success: there are never more trials than it wants', () => {
    const trials = new Trials(2, 100)
    trials.succeed(begin(trials, 0))

    expect(trials.tryBegin(0)).toBeDefined()
    expect(trials.tryBegin(0)).toBeUndefined()
  })

  it('gives a place that ended without a verdict to the next', () => {
    const trials = new Trials(1, 100)

    trials.forget(begin(trials, 0))

    expect(trials.tryBegin(0)).toBeDefined()
  })

  it('replaces a trial at exactly the end of its lease, and only then', () => {
    const trials = new Trials(1, 100)
    const lost = begin(trials, 0)

    expect(trials.tryBegin(99)).toBeUndefined()
    expect(lost.expired).toBe(false)
    const next = begin(trials, 100)

    expect([lost.expired, next.expired]).toEqual([true, false])
    expect(trials.tryBegin(100)).toBeUndefined()
  })

  it('replaces only the trials that are overdue', () => {
    const trials = new Trials(2, 100)
    const [early, late] = [begin(trials, 0), begin(trials, 60)]

    expect(trials.tryBegin(120)).toBeDefined()

    expect([early.expired, late.expired]).toEqual([true, false])
    expect(trials.tryBegin(120)).toBeUndefined()
  })

  it('tells how long until the next place may become free', () => {
    const trials = new Trials(2, 100)
    begin(trials, 0)
    begin(trials, 60)

    expect([trials.wait(60), trials.wait(99), trials.wait(250)]).toEqual([40, 1, 0])
  })

  it('never tells to wait longer than a lease', () => {
    expect(new Trials(1, 100).wait(5)).toBe(100)
  })
})
