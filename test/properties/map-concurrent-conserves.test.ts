import fc from 'fast-check'
import { limiter, mapConcurrent } from 'holdfast'
import { describe, it } from 'vitest'
import { type Deferred, deferred } from '../../src/core/deferred.ts'
import { holds } from './seed.ts'
import { same, settled } from './turn.ts'

type Step = ['end', number, boolean] | ['resize', number] | ['abort']

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.tuple(
      fc.constant('end' as const),
      fc.nat(100),
      fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.constant(false)),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(fc.constant('resize' as const), fc.integer({ min: 1, max: 6 })),
  },
  { weight: 1, arbitrary: fc.constant<Step>(['abort']) },
)

const setting = fc.record({
  count: fc.nat(20),
  concurrency: fc.integer({ min: 1, max: 5 }),
  mode: fc.constantFrom('stop', 'all', 'settle'),
  isStream: fc.boolean(),
})

const failure = new Error('down')

describe('mapConcurrent', () => {
  it('starts in order, never too many, each once, and ends as its items did', async () => {
    await holds(
      fc.asyncProperty(
        setting,
        fc.array(step, { maxLength: 40 }),
        async ({ count, concurrency, mode, isStream }, history) => {
          const limit = limiter(concurrency)
          const controller = new AbortController()
          const started: number[] = []
          const under: { index: number; work: Deferred<number> }[] = []
          const ends = new Map<number, boolean>()
          let closed = 0
          function* items(): Generator<number> {
            try {
              for (let n = 0; n < count; n++) yield n
            } finally {
              closed++
            }
          }
          async function* stream(): AsyncGenerator<number> {
            yield* items()
          }
          const map = mapConcurrent(
            isStream ? stream() : items(),
            (n, { index }) => {
              same(n, index)
              started.push(index)
              const work = deferred<number>()
              under.push({ index, work })
              return work.promise
            },
            {
              concurrency: limit,
              signal: controller.signal,
              stopOnError: mode === 'stop',
              settle: mode === 'settle',
            },
          )
          let outcome: { results?: unknown; error?: unknown } | undefined
          map.then(
            (results: unknown) => {
              outcome = { results }
            },
            (error: unknown) => {
              outcome = { error }
            },
          )
          let allowed = concurrency
          let stop: unknown
          const end = async (choice: number, ok: boolean): Promise<void> => {
            const [one] = under.splice(choice % under.length, 1)
            if (one === undefined) return
            if (stop === undefined) ends.set(one.index, ok)
            if (ok) one.work.resolve(one.index * 2)
            else {
              one.work.reject(failure)
              if (mode === 'stop') stop ??= failure
            }
            await settled()
          }

          await settled()
          for (const [kind, first, ok] of history) {
            const before = under.length
            if (kind === 'end' && under.length > 0) await end(first, ok)
            else if (kind === 'resize') {
              limit.resize(first)
              allowed = first
              await settled()
            } else if (kind === 'abort' && outcome === undefined) {
              controller.abort('gone')
              stop ??= 'gone'
              await settled()
            }
            same(under.length <= Math.max(allowed, before), true)
            if (stop === undefined) {
              const more = started.length < count
              same(!more || under.length >= allowed, true)
            }
            same(limit.stats().running, under.length)
          }
          while (under.length > 0) await end(0, true)
          await settled()

          same(started.join(), [...started.keys()].join())
          same(closed <= 1 && (closed === 1 || started.length === 0), true)
          same(limit.stats().queued, 0)
          same(limit.stats().running, 0)
          same(outcome === undefined, false)
          const failed = [...ends].filter(([, ok]) => !ok).length
          if (stop !== undefined) same(outcome?.error, stop)
          else if (mode === 'all' && failed > 0) {
            same((outcome?.error as AggregateError | undefined)?.errors.length, failed)
          } else {
            const expected = Array.from({ length: count }, (_, n) => {
              if (mode !== 'settle') return n * 2
              return ends.get(n) === false ? 'rejected' : 'fulfilled'
            })
            const results = outcome?.results as (number | PromiseSettledResult<number>)[]
            const shown = results.map((one) => (typeof one === 'number' ? one : one.status))
            same(shown.join(), expected.join())
          }
        },
      ),
    )
  }, 300_000)
})
