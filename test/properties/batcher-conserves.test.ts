import fc from 'fast-check'
import { batcher } from 'holdfast'
import { describe, it } from 'vitest'
import { type Deferred, deferred } from '../../src/core/deferred.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

type Answers = readonly (string | Error)[] | Map<number, string | Error>
type Step =
  | ['load' | 'load with signal' | 'load many', number]
  | ['answer', number, 'list' | 'map' | 'some' | 'short' | 'throw']
  | ['abort', number]
  | ['turn' | 'flush', number]

const of = <const Kind extends string>(kind: Kind): fc.Arbitrary<[Kind, number]> =>
  fc.tuple(fc.constant(kind), fc.nat(20))

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: of('load') },
  { weight: 15, arbitrary: of('load with signal') },
  { weight: 6, arbitrary: of('load many') },
  {
    weight: 12,
    arbitrary: fc.tuple(
      fc.constant('answer' as const),
      fc.nat(20),
      fc.constantFrom('list', 'list', 'map', 'some', 'short', 'throw'),
    ),
  },
  { weight: 8, arbitrary: of('abort') },
  { weight: 12, arbitrary: of('turn') },
  { weight: 2, arbitrary: of('flush') },
)

const setting = fc.record({
  maxBatchSize: fc.integer({ min: 1, max: 6 }),
  maxConcurrentBatches: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
  cache: fc.constantFrom(false, true, { maxSize: 3 }),
})

const whole = new Error('whole batch')

/** What a load may end with: its own key's value or error, its batch's error, its own abort. */
function isOwn(key: number, end: unknown): boolean {
  if (typeof end === 'string') return end === `value ${key}` || end === 'aborted'
  if (end === whole || end instanceof TypeError) return true
  return end instanceof Error && end.message === `no ${key}`
}

describe('a batcher', () => {
  it('gives each load the answer of its own key, whatever else happens', async () => {
    await holds(
      fc.asyncProperty(setting, fc.array(step, { maxLength: 60 }), async (options, history) => {
        const under: { keys: readonly number[]; work: Deferred<Answers> }[] = []
        const load = batcher<number, string>((keys) => {
          same(keys.length > 0 && keys.length <= options.maxBatchSize, true)
          same(new Set(keys).size, keys.length)
          const work = deferred<Answers>()
          under.push({ keys, work })
          same(under.length <= options.maxConcurrentBatches, true)
          return work.promise
        }, options)
        const controllers: AbortController[] = []
        const ends: Promise<void>[] = []
        let asked = 0
        let settledLoads = 0
        const expectOwn = (key: number, call: Promise<string>): void => {
          asked++
          const note = (end: unknown): void => {
            settledLoads++
            same(isOwn(key, end), true)
          }
          ends.push(call.then(note, note))
        }
        const answer = (choice: number, how: string): void => {
          const [one] = under.splice(choice % under.length, 1)
          if (one === undefined) return
          const { keys, work } = one
          const good = keys.map((key) => `value ${key}`)
          if (how === 'throw') work.reject(whole)
          else if (how === 'short') work.resolve(good.slice(1))
          else if (how === 'map') work.resolve(new Map(keys.map((key) => [key, `value ${key}`])))
          else if (how === 'some') {
            work.resolve(keys.map((key) => (key % 2 ? new Error(`no ${key}`) : `value ${key}`)))
          } else work.resolve(good)
        }

        for (const [kind, choice, how] of history) {
          if (kind === 'load') expectOwn(choice, load.load(choice))
          else if (kind === 'load with signal') {
            const controller = new AbortController()
            controllers.push(controller)
            expectOwn(choice, load.load(choice, { signal: controller.signal }))
          } else if (kind === 'load many') {
            const keys = [choice, choice + 1, choice, choice + 2]
            asked++
            ends.push(
              load.loadMany(keys).then((values) => {
                settledLoads++
                same(values.length, keys.length)
                for (const [at, key] of keys.entries()) same(isOwn(key, values[at]), true)
              }),
            )
          } else if (kind === 'answer') answer(choice, how)
          else if (kind === 'abort') controllers[choice % controllers.length]?.abort('aborted')
          else if (kind === 'flush') void load.flush()
          await (kind === 'turn' ? settled() : undefined)
        }
        const closed = load.close()
        for (let round = 0; round < 1_000 && settledLoads < asked; round++) {
          await settled()
          while (under.length > 0) answer(0, 'list')
        }
        while (under.length > 0) answer(0, 'list')
        await Promise.all([closed, ...ends])
        await settled()
        while (under.length > 0) answer(0, 'list')
        await settled()

        same(settledLoads, asked)
        const { queued, running, cached, loads, hits, keys } = load.stats()
        same([queued, running].join(), '0,0')
        same(hits + keys <= loads, true)
        if (typeof options.cache === 'object') same(cached <= options.cache.maxSize, true)
      }),
    )
  }, 300_000)
})
