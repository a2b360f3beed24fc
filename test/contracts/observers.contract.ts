/** Whoever listens can neither change a call nor break it. */

import type { HoldfastEvent, Policy } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, hangs, quiet } from '../support/calls.ts'
import { expectConserved } from '../support/conservation.ts'
import { withoutNoise } from '../support/leaks.ts'
import type { Make } from './subjects.ts'

const down = new Error('down')

const broken: readonly (readonly [how: string, listener: (event: HoldfastEvent) => unknown])[] = [
  [
    'throws',
    () => {
      throw new Error('broken listener')
    },
  ],
  [
    'throws null',
    () => {
      throw null
    },
  ],
  ['rejects', () => Promise.reject(new Error('broken listener'))],
  ['never ends', hangs],
]

export function survivesObservers(make: Make): void {
  describe('survives observers', () => {
    it.each(broken)('one that %s', async (_how, listener) => {
      const clock = virtualClock()
      const policy = make(clock)
      const heard: string[] = []
      policy.subscribe(listener)
      policy.subscribe(({ type }) => heard.push(type))

      await withoutNoise(async () => {
        expect(await policy.execute(() => 'fine')).toBe('fine')
        const failure = caught(policy.execute(() => Promise.reject(down)))
        await clock.runAll()
        expect((await failure).error).toBe(down)
        const { error } = await caught(
          policy.execute(() => 'unreached', { signal: AbortSignal.abort('aborted') }),
        )
        expect(error).toBe('aborted')
      })

      expectConserved(policy.stats(), 3)
      expect(heard.filter((type) => type === 'call')).toHaveLength(3)
    })

    it('one that leaves, joins and calls again while it is being told', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const heard: string[] = []
      const nested: Promise<unknown>[] = []
      const leave = policy.subscribe((event) => {
        if (event.type !== 'call') return
        heard.push(event.ending)
        leave()
        policy.subscribe((later) => later.type === 'call' && heard.push(`then ${later.ending}`))
        nested.push(policy.execute(() => 'nested'))
      })

      expect(await policy.execute(() => 'fine')).toBe('fine')
      expect(await Promise.all(nested)).toEqual(['nested'])
      await quiet()

      expect(heard).toEqual(['succeeded', 'then succeeded'])
      expectConserved(policy.stats(), 2)
    })

    it('one that has left hears nothing more', async () => {
      const policy = make(virtualClock())
      let heard = 0
      const leave = policy.subscribe(() => heard++)
      await policy.execute(() => 'heard')
      const before = heard
      leave()
      leave()

      await policy.execute(() => 'unheard')

      expect(before).toBeGreaterThan(0)
      expect(heard).toBe(before)
    })

    it('none at all when a listener is no function', () => {
      const policy = make(virtualClock())

      for (const listener of [undefined, null, 'text', {}]) {
        expect(() => policy.subscribe(listener as never)).toThrow(TypeError)
      }
    })

    it('and tells each call once, with its ending and its duration', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const calls = callsOf(policy)
      const controller = new AbortController()

      await policy.execute(() => clock.advance(30).then(() => 'fine'))
      const aborted = caught(policy.execute(hangs, { signal: controller.signal }))
      await clock.advance(20)
      controller.abort('why')
      await aborted
      await quiet()

      expect(calls).toEqual([
        { ending: 'succeeded', duration: 30, attempts: 1 },
        { ending: 'aborted', duration: 20, attempts: 1, error: 'why' },
      ])
    })

    it('and describes itself and its statistics as plain JSON', async () => {
      const policy = make(virtualClock())
      await policy.execute(() => 'fine')

      for (const report of [policy.describe(), policy.stats()]) {
        expect(JSON.parse(JSON.stringify(report))).toEqual(report)
      }
    })
  })
}

function callsOf(policy: Policy): object[] {
  const calls: object[] = []
  policy.subscribe((event) => {
    if (event.type !== 'call') return
    const { ending, duration, attempts, error } = event
    calls.push({ ending, duration, attempts, ...('error' in event ? { error } : {}) })
  })
  return calls
}
