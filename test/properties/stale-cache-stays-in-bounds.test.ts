/** Whatever its store does, or however small its memory: nothing too old, nothing of others, nothing left. */
import fc from 'fast-check'
import { type CacheStore, staleCache } from 'holdfast'
import { seededRandom, virtualClock } from 'holdfast/testing'
import { describe, it } from 'vitest'
import { type Gate, gate } from '../support/calls.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

const keys = ['tea', 'salt', 'rice', 'oil']
const kinds = [
  'call',
  'call',
  'call',
  'call',
  'answer',
  'answer',
  'answer',
  'fail',
  'abort',
  'advance',
  'advance',
  'the store answers',
  'the store answers',
  'the store fails',
  'the store is broken',
  'the store works',
] as const
const step = fc.tuple(fc.constantFrom(...kinds), fc.nat(300))

const shape = fc.record({
  stored: fc.boolean(),
  freshFor: fc.constantFrom(0, 200, 500),
  staleFor: fc.constantFrom(500, 1_000),
  softTimeout: fc.constantFrom(0, 50, Number.POSITIVE_INFINITY),
  refreshPause: fc.constantFrom(0, 100),
  earlyRefresh: fc.constantFrom(0, 1),
  jitter: fc.constantFrom(0, 0.3),
})

interface Value {
  readonly key: string
  readonly made: number
}

const limit = 60
const bytesOfOne = 100

describe('a stale cache', () => {
  it('serves nothing too old, calls once at a time and leaves nothing, by a store that fails or a small memory', async () => {
    const histories = fc.array(step, { maxLength: 60 })
    await holds(
      fc.asyncProperty(shape, histories, fc.nat(), async (drawn, history, dice) => {
        const { stored, ...options } = drawn
        const clock = virtualClock()
        const store = new Chaos()
        const sizeOf = (): number => bytesOfOne
        const place = stored
          ? { store, storeTimeout: limit }
          : { maxEntries: 3, maxBytes: 3.5 * bytesOfOne, sizeOf }
        const cache = staleCache<Value>({
          name: 'all',
          key: (id: string) => id,
          finishAlone: true,
          joinWithin: Number.POSITIVE_INFINITY,
          clock,
          random: seededRandom(dice),
          ...options,
          ...place,
        })
        const working: { key: string; ends: Gate<Value> }[] = []
        const callers: AbortController[] = []
        let pending = 0

        const call = async (key: string): Promise<void> => {
          const caller = new AbortController()
          callers.push(caller)
          pending++
          const operation = (): Promise<Value> => {
            same(
              working.some((other) => other.key === key),
              false,
            )
            const ends = gate<Value>()
            working.push({ key, ends })
            return ends.promise
          }
          try {
            const { value, source, degraded } = await cache.executeDetailed(operation, {
              args: [key],
              signal: caller.signal,
            })
            same(value.key, key)
            const age = clock.now() - value.made
            if (source !== 'primary') same(age < options.staleFor, true)
            if (source !== 'primary' && !degraded) same(age < options.freshFor, true)
          } catch (error) {
            if (error !== down && error !== 'aborted') throw error
          } finally {
            pending--
          }
        }
        const broken: unknown[] = []
        const end = (choice: number, fails: boolean): void => {
          const [work] = working.splice(choice % Math.max(1, working.length), 1)
          if (fails) work?.ends.fail(down)
          else work?.ends.open({ key: work.key, made: clock.now() })
        }

        for (const [kind, choice] of history) {
          const key = keys[choice % keys.length] as string
          if (kind === 'call') call(key).catch((error) => broken.push(error))
          else if (kind === 'answer' || kind === 'fail') end(choice, kind === 'fail')
          else if (kind === 'abort') callers[choice % Math.max(1, callers.length)]?.abort('aborted')
          else if (kind === 'advance') await clock.advance(choice)
          else if (kind === 'the store answers') store.answer(choice)
          else if (kind === 'the store fails') store.answer(choice, down)
          else store.broken = kind === 'the store is broken'
          await settled()
          const { entries, bytes } = cache.stats()
          same(entries <= 3 && bytes <= 3.5 * bytesOfOne, true)
          same(bytes >= entries * bytesOfOne, true)
        }

        // A call that was aborted may still ask its store, and no more than that.
        while (working.length > 0) end(0, false)
        for (let round = 0; round < 40 && pending > 0; round++) {
          await clock.advance(limit)
          while (working.length > 0) end(0, false)
          await settled()
        }
        same(pending, 0)
        await clock.advance(10 * limit)
        const { running, inFlight } = cache.stats()
        same(running + inFlight, 0)
        if (broken.length > 0) throw broken[0]
        clock.assertIdle()
      }),
    )
  }, 300_000)
})

const down = Object.assign(new Error('down'), { status: 503 })

/** Answers when it is told to, if at all; and what it gives back may be garbage. */
class Chaos implements CacheStore {
  broken = false
  readonly #values = new Map<string, unknown>()
  readonly #open: { readonly run: () => unknown; readonly ends: Gate<unknown> }[] = []
  #asked = 0

  get(key: string): unknown {
    return this.#ask(() => (this.#asked % 7 === 0 ? ['garbage'] : this.#values.get(key)))
  }

  set(key: string, value: unknown): unknown {
    return this.#ask(() => this.#values.set(key, value))
  }

  delete(key: string): unknown {
    return this.#ask(() => this.#values.delete(key))
  }

  answer(choice: number, error?: unknown): void {
    const [one] = this.#open.splice(choice % Math.max(1, this.#open.length), 1)
    if (error === undefined) one?.ends.open(one.run())
    else one?.ends.fail(error)
  }

  #ask(run: () => unknown): unknown {
    this.#asked++
    if (this.broken) throw down
    if (this.#asked % 3 === 0) return run()
    const ends = gate<unknown>()
    this.#open.push({ run, ends })
    return ends.promise
  }
}
