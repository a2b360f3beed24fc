/** A wrapped function is the same function, for whoever calls it. */

import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught } from '../support/calls.ts'
import { expectConserved } from '../support/conservation.ts'
import type { Make } from './subjects.ts'

export function wrapsFunctions(make: Make): void {
  describe('wraps functions', () => {
    it('with their arguments and their this', async () => {
      const policy = make(virtualClock())
      const shop = {
        prefix: 'product',
        product: policy.wrap(function (this: { prefix: string }, id: string, size: number) {
          return `${this.prefix} ${id} of ${size}`
        }),
      }

      expect(await shop.product('kelp', 3)).toBe('product kelp of 3')
    })

    it('with their name and their length', () => {
      const policy = make(virtualClock())
      async function product(_id: string, _size: number): Promise<void> {}

      const wrapped = policy.wrap(product)

      expect(wrapped.name).toBe('product')
      expect(wrapped).toHaveLength(2)
      expect(policy.wrap(() => 1)).toHaveLength(0)
    })

    it('with what they throw', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const failure = new Error('down')
      const wrapped = policy.wrap(() => {
        throw failure
      })

      const end = caught(wrapped())
      await clock.runAll()

      expect((await end).error).toBe(failure)
      expectConserved(policy.stats(), 1)
    })

    it('for many callers at once, each with its own', async () => {
      const policy = make(virtualClock())
      const double = policy.wrap(async (n: number) => {
        await Promise.resolve()
        return n * 2
      })

      const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => double(n)))

      expect(answers).toEqual(Array.from({ length: 100 }, (_, n) => n * 2))
    })

    it('with a context object of the same arguments, untouched', async () => {
      const policy = make(virtualClock())
      const given = Object.freeze({ frozen: true })
      const wrapped = policy.wrap((object: object) => object)

      expect(await wrapped(given)).toBe(given)
    })

    it('and nothing but functions', () => {
      const policy = make(virtualClock())

      for (const value of [undefined, null, 42, 'text', {}]) {
        expect(() => policy.wrap(value as never)).toThrow(TypeError)
      }
    })
  })
}
