/** The caller gets what the function gave: the same value, the same thrown thing, once (failures RT16, TO6). */

import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, quiet, times, watch } from '../support/calls.ts'
import { expectConserved } from '../support/conservation.ts'
import { thrown } from '../support/thrown.ts'
import type { Make } from './subjects.ts'

const values = [0, '', false, null, undefined, Number.NaN, 42, 'text', { an: 'object' }, [1]]

export function answersAsTheFunctionDoes(make: Make): void {
  describe('answers as the function does', () => {
    it.each(values)('returns %j, sync or async', async (value) => {
      const policy = make(virtualClock())

      expect(await policy.execute(() => value)).toBe(value)
      expect(await policy.execute(async () => value)).toBe(value)
      expect((await policy.executeDetailed(() => value)).value).toBe(value)
    })

    it.each(thrown)('throws %s as the same thing, sync or async', async (_title, makeThrown) => {
      const clock = virtualClock()
      const policy = make(clock)
      const thing = makeThrown()

      for (const fail of [throwing(thing), rejecting(thing)]) {
        const end = caught(policy.execute(fail))
        await clock.runAll()
        expect((await end).error === thing).toBe(true)
      }
      expect(await policy.execute(() => 'fine again')).toBe('fine again')
      expectConserved(policy.stats(), 3)
    })

    it.each(thenables)('settles once on %s', async (_title, thenable, expected) => {
      const clock = virtualClock()
      const policy = make(clock)

      const answer = watch(policy.execute(thenable))
      await clock.runAll()

      expect(answer).toEqual(expected)
      expect(await policy.execute(() => 'fine again')).toBe('fine again')
      expectConserved(policy.stats(), 2)
    })

    it.each([undefined, null, 42, 'text', {}, [], Promise.resolve()])(
      'rejects with a TypeError when given %j instead of a function',
      async (operation) => {
        const policy = make(virtualClock())

        const { error } = await caught(policy.execute(operation as never))
        const detailed = await caught(policy.executeDetailed(operation as never))

        expect(error).toBeInstanceOf(TypeError)
        expect(detailed.error).toBeInstanceOf(TypeError)
        expect(await policy.execute(() => 'fine')).toBe('fine')
      },
    )

    it('rejects, rather than throws, when its options are none or bite', async () => {
      const policy = make(virtualClock())
      const bite = new Error('hands off')
      const biting = {
        get signal(): AbortSignal {
          throw bite
        },
      }
      let calls = 0

      expect((await caught(policy.execute(() => calls++, null as never))).error).toBeInstanceOf(
        TypeError,
      )
      expect((await caught(policy.execute(() => calls++, biting))).error).toBe(bite)

      expect(calls).toBe(0)
      expect(await policy.execute(() => 'fine')).toBe('fine')
      expect(policy.stats().inFlight).toBe(0)
    })

    it('keeps a hundred interleaved calls apart', async () => {
      const clock = virtualClock()
      const policy = make(clock)
      const gates = times(100, () => gate<number>())

      const answers = gates.map(({ promise }) => watch(policy.execute(() => promise)))
      for (const at of shuffled(100)) {
        if (at % 3 === 0) gates[at]?.fail(at)
        else gates[at]?.open(at)
        if (at % 7 === 0) await quiet()
      }
      await clock.runAll()

      const expected = times(100, (at) =>
        at % 3 === 0 ? { status: 'rejected', reason: at } : { status: 'fulfilled', value: at },
      )
      expect(answers).toEqual(expected)
      expectConserved(policy.stats(), 100)
    })

    it('can be called from inside its own function', async () => {
      const policy = make(virtualClock())
      const held = gate<string>()

      const outer = policy.execute(
        async () => `outer of ${await Promise.race([inner(), held.promise])}`,
      )
      async function inner(): Promise<string> {
        return policy.execute(() => 'inner')
      }
      await quiet()
      held.open('one that would have waited for itself')

      expect(await outer).toMatch(/^outer of /)
      await quiet()
      expectConserved(policy.stats(), 2)
    })
  })
}

const fulfilled = (value: unknown): object => ({ status: 'fulfilled', value })
const rejected = (reason: unknown): object => ({ status: 'rejected', reason })

type Settle = (value: unknown) => void

/** Only `then`; made by hand, as other libraries' promises are. */
const thenable =
  (then: (resolve: Settle, reject: Settle) => void): (() => PromiseLike<unknown>) =>
  () =>
    ({ then }) as PromiseLike<unknown>

class Subclass<T> extends Promise<T> {}

/** A native promise whose own `then` calls back twice. */
const twice = (): Promise<unknown> => {
  const promise = Promise.resolve('first')
  const then: unknown = (resolve: Settle) => {
    resolve('first')
    resolve('second')
  }
  return Object.assign(promise, { then })
}

const thenables: [string, () => PromiseLike<unknown>, object][] = [
  ['a thenable', thenable((resolve) => resolve('value')), fulfilled('value')],
  ['a thenable that rejects', thenable((_, reject) => reject('no')), rejected('no')],
  [
    'a thenable that calls both callbacks',
    thenable((resolve, reject) => {
      resolve('first')
      reject('second')
      resolve('third')
    }),
    fulfilled('first'),
  ],
  [
    'a thenable that rejects and then resolves',
    thenable((resolve, reject) => {
      reject('first')
      resolve('second')
    }),
    rejected('first'),
  ],
  [
    'a thenable that throws after resolving',
    thenable((resolve) => {
      resolve('first')
      throw new Error('second')
    }),
    fulfilled('first'),
  ],
  [
    'a thenable that throws',
    thenable(() => {
      throw 'no'
    }),
    rejected('no'),
  ],
  [
    'a thenable of a thenable',
    thenable((resolve) => resolve(thenable((inner) => inner('deep'))())),
    fulfilled('deep'),
  ],
  ['a promise subclass', () => Subclass.resolve('value'), fulfilled('value')],
  ['a promise subclass that rejects', () => Subclass.reject('no'), rejected('no')],
  ['a promise with a `then` of its own that calls back twice', twice, fulfilled('first')],
]

function throwing(thing: unknown): () => never {
  return () => {
    throw thing
  }
}

function rejecting(thing: unknown): () => Promise<never> {
  return async () => {
    throw thing
  }
}

/** 0 to `count` - 1, mixed but always in the same way. */
function shuffled(count: number): number[] {
  return times(count, (index) => (index * 37 + 11) % count)
}
