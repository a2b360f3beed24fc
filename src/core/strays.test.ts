import { describe, expect, it } from 'vitest'
import { deferred } from './deferred.ts'
import { Stray, straysUnder } from './strays.ts'

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a Stray', () => {
  it.each(['resolve', 'reject'] as const)('has ended when its work does, by %s', async (how) => {
    const work = deferred<unknown>()
    const stray = new Stray(work.promise, 1)
    let told = 0
    stray.whenEnded(() => told++)
    stray.whenEnded(() => told++)

    await settled()
    expect([stray.ended, told]).toEqual([false, 0])
    work[how]('whatever')
    await settled()

    expect([stray.ended, told]).toEqual([true, 2])
  })
})

describe('straysUnder', () => {
  it('is nothing for a step without strays inside it', async () => {
    const work = deferred()
    const ended = new Stray(Promise.resolve(), 9)
    const settledAccount = new Stray(work.promise, 2)
    await settled()

    expect(straysUnder([], 0)).toBeUndefined()
    expect(straysUnder([ended], 0)).toBeUndefined()
    expect(straysUnder([settledAccount], 2)).toBeUndefined()
    expect(straysUnder([settledAccount], 1)).toBeDefined()
  })

  it('has ended with the last of them', async () => {
    const works = [deferred(), deferred(), deferred()]
    const [one, other, unconcerned] = works.map(({ promise }, index) => {
      return new Stray(promise, index === 2 ? 1 : 5)
    }) as [Stray, Stray, Stray]
    let told = 0
    straysUnder([one, other, unconcerned], 1)?.whenEnded(() => told++)

    works[1]?.resolve()
    await settled()
    expect(told).toBe(0)
    works[0]?.resolve()
    await settled()

    expect(told).toBe(1)
  })
})
