import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import {
  BulkheadFullError,
  bulkhead,
  fallback,
  type Policy,
  pipeline,
  retry,
} from '../../src/index.ts'
import { virtualClock } from '../../src/testing/index.ts'

/** One slot, one place in line, a wait of 50 ms; nothing inside that could end a call early. */
function crowded() {
  const clock = virtualClock()
  const slots = bulkhead({ name: 'slots', maxConcurrent: 1, maxQueue: 1, maxWait: 50, clock })
  let end = (_value: string): void => {}
  const hang = (): Promise<string> =>
    new Promise((resolve) => {
      end = resolve
    })
  return { clock, slots, hang, end: (value: string) => end(value) }
}

function counts({ stats }: { readonly stats: Policy['stats'] }, of: unknown) {
  const { inFlight, succeeded, rejected, failed } = stats.call(of)
  return { inFlight, succeeded, rejected, failed }
}

describe('a call that stands in line and brings nothing along', () => {
  it('is counted by everybody around the line while it waits, and by nobody afterwards', async () => {
    const { slots, hang, end, clock } = crowded()
    const around = retry({ clock })
    const all = pipeline('all', around, slots)
    const first = all.execute(hang)
    const second = all.execute(() => 'second')
    expect([all, around, slots].map((one) => one.stats().inFlight)).toEqual([2, 2, 2])
    end('first')
    expect(await Promise.all([first, second])).toEqual(['first', 'second'])
    for (const one of [all, around, slots]) {
      expect(counts(one, one)).toEqual({ inFlight: 0, succeeded: 2, rejected: 0, failed: 0 })
    }
  })

  it('is answered by a fallback when its wait was too long, and counted as refused', async () => {
    const { slots, hang, end, clock } = crowded()
    const last = fallback(() => 'instead')
    const all = pipeline('all', last, slots)
    const first = all.execute(hang)
    const second = all.execute(() => 'second')
    await clock.advance(51)
    expect(await second).toBe('instead')
    expect(slots.stats()).toMatchObject({ queued: 0, running: 1, rejected: 1, inFlight: 1 })
    expect(all.stats()).toMatchObject({ inFlight: 1, succeeded: 1 })
    end('first')
    expect(await first).toBe('first')
    for (const one of [all, last, slots]) expect(one.stats().inFlight).toBe(0)
  })

  it('is rejected with the refusal where nobody answers instead, and was not called', async () => {
    const { slots, hang, end, clock } = crowded()
    const all = pipeline('all', retry({ clock }), slots)
    const first = all.execute(hang)
    let called = false
    const second = all.execute(() => {
      called = true
    })
    const refused = expect(second).rejects.toBeInstanceOf(BulkheadFullError)
    await clock.advance(51)
    await refused
    expect(called).toBe(false)
    expect(all.stats()).toMatchObject({ inFlight: 1, rejected: 1 })
    end('first')
    await first
    expect(await all.execute(() => 'again')).toBe('again')
  })

  it('is retried after its turn with its own function, in the context of its caller', async () => {
    const { slots, hang, end, clock } = crowded()
    const caller = new AsyncLocalStorage<string>()
    const all = pipeline(
      'all',
      retry({ maxRetries: 1, baseDelay: 0, jitter: 'none', clock }),
      slots,
    )
    const first = caller.run('ann', () => all.execute(hang))
    const seen: (string | undefined)[] = []
    const second = caller.run('bob', () =>
      all.execute(({ attempt }) => {
        seen.push(caller.getStore())
        if (attempt === 1) throw Object.assign(new Error('reset'), { code: 'ECONNRESET' })
        return attempt
      }),
    )
    caller.run('ann', () => end('first'))
    expect(await first).toBe('first')
    expect(await second).toBe(2)
    expect(seen).toEqual(['bob', 'bob'])
    expect(slots.stats()).toMatchObject({ running: 0, queued: 0, succeeded: 2, failed: 1 })
  })

  it('frees its slot when the function throws at once', async () => {
    const { slots, hang, end } = crowded()
    const first = slots.execute(hang)
    const second = slots.execute(() => {
      throw new Error('at once')
    })
    end('first')
    await first
    await expect(second).rejects.toThrow('at once')
    expect(slots.stats()).toMatchObject({ running: 0, queued: 0, succeeded: 1, failed: 1 })
  })
})
