import { pipeline, timeout } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { hangs, times, watch } from '../support/calls.ts'
import { expectConserved } from '../support/conservation.ts'
import { listenersOn, withoutNoise } from '../support/leaks.ts'
import { orders, stack } from '../support/stacks.ts'

describe('CO3 a total time limit that is not kept', () => {
  it('settles every call in time when everything inside hangs, in all 120 orders', async () => {
    await withoutNoise(async () => {
      for (const order of orders) {
        const { clock, policy: inner } = stack(order, hangs, { limit: 10_000 })
        inner.subscribe(hangs)
        const total = pipeline({ name: 'total', clock }, timeout({ duration: 500, clock }), inner)
        const controller = new AbortController()
        const { signal } = controller
        const calls = times(8, () => watch(total.execute(hangs, { signal })))

        await clock.advance(500)

        const states = calls.map(({ status }) => status)
        expect(states, String(order)).not.toContain('pending')
        expect(clock.timers, String(order)).toEqual([])
        expect(listenersOn(signal), String(order)).toBe(0)
        expectConserved(total.stats(), 8)
      }
    })
  })
})
