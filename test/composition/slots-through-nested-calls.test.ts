/** A slot follows the work that was begun in it, through nested calls and users' policies, and no further. */
import { describe, expect, it } from 'vitest'
import { bulkhead, type PolicyLike, pipeline, retry, timeout } from '../../src/index.ts'
import { virtualClock } from '../../src/testing/index.ts'
import { hangs } from '../support/calls.ts'

const passing: PolicyLike = {
  name: 'passing',
  execute: async (operation, options) => operation(options),
}

describe('a slot', () => {
  it('is kept through a user’s policy until the work has ended', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const stack = pipeline(
      { name: 'stack', clock },
      slots,
      passing,
      timeout({ duration: 10, clock }),
    )
    let end = (): void => undefined
    const call = stack
      .execute(() => new Promise<void>((resolve) => (end = resolve)))
      .catch(() => 'late')
    await clock.advance(10)

    expect(await call).toBe('late')
    expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1 })
    end()
    await clock.advance(0)
    expect(slots.stats()).toMatchObject({ running: 0, abandoned: 0 })
  })

  it('is kept through a nested call that was given the context', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 1, clock })
    const limit = timeout({ duration: 10, clock })
    const call = slots.execute((context) => limit.execute(hangs, context)).catch(() => 'late')
    await clock.advance(10)

    expect(await call).toBe('late')
    expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1 })
  })

  it('is not kept for work of an attempt that had a slot of its own', async () => {
    const clock = virtualClock()
    const slots = bulkhead({ maxConcurrent: 2, clock })
    const limit = timeout({ duration: 10, clock })
    const stack = pipeline({ name: 'stack', clock }, retry({ baseDelay: 0, clock }), slots, limit)
    let calls = 0
    const call = stack.execute(() => (++calls === 1 ? hangs() : 'second'))
    await clock.advance(10)

    expect(await call).toBe('second')
    expect(slots.stats()).toMatchObject({ running: 1, abandoned: 1 })
  })
})

describe('a detailed answer through a user’s policy', () => {
  it('tells each failure once', async () => {
    const clock = virtualClock()
    const stack = pipeline({ name: 'stack', clock }, retry({ baseDelay: 0, clock }), passing)
    const down = new Error('down')
    let calls = 0
    const answer = await stack.executeDetailed(() => {
      if (++calls < 3) throw down
      return 'third'
    })

    expect(answer).toMatchObject({ value: 'third', attempts: 3, errors: [down, down] })
  })
})
