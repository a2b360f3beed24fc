import { AsyncLocalStorage } from 'node:async_hooks'
import {
  BatcherClosedError,
  BatcherFullError,
  type BatcherOptions,
  batcher,
  fallback,
  type HoldfastEvent,
  KeyMissingError,
  type LoadMany,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, times, watch } from '../../../test/support/calls.ts'
import { listenersOn, withoutNoise } from '../../../test/support/leaks.ts'

/** A batcher of names that notes the batches it was asked for. */
function names(options: BatcherOptions<number, string> = {}) {
  const batches: (readonly number[])[] = []
  const load = batcher<number, string>(async (ids) => {
    batches.push(ids)
    return ids.map((id) => `name ${id}`)
  }, options)
  return { batches, load }
}

/** A batcher whose batches the test answers by hand. */
function byHand(options: BatcherOptions<number, number> = {}) {
  const gates: ReturnType<typeof gate<readonly (number | Error)[]>>[] = []
  const keys: (readonly number[])[] = []
  const signals: AbortSignal[] = []
  const load = batcher<number, number>((ids, { signal }) => {
    const answer = gate<readonly (number | Error)[]>()
    gates.push(answer)
    keys.push(ids)
    signals.push(signal)
    return answer.promise
  }, options)
  return { load, gates, keys, signals }
}

describe('a batch', () => {
  it('is what is asked for in one turn, each key once, in order', async () => {
    const { batches, load } = names()
    const asked = [load.load(1), load.load(2), load.load(1)]
    const later = quiet().then(() => load.load(3))

    expect(await Promise.all(asked)).toEqual(['name 1', 'name 2', 'name 1'])
    expect(await later).toBe('name 3')
    expect(batches).toEqual([[1, 2], [3]])
    expect(load.stats()).toEqual({
      name: 'batcher',
      loads: 4,
      hits: 1,
      batches: 2,
      keys: 3,
      failed: 0,
      queued: 0,
      running: 0,
      cached: 0,
    })
  })

  it('collects what follows from promises of the same turn', async () => {
    const { batches, load } = names()
    const chained = Promise.resolve()
      .then(() => undefined)
      .then(() => load.load(2))
    await Promise.all([load.load(1), chained])
    expect(batches).toEqual([[1, 2]])
  })

  it('leaves one thing to do at the end of a turn, however many batches it has filled', async () => {
    const pending = () => process.getActiveResourcesInfo().filter((what) => what === 'Immediate')
    const { batches, load } = names({ maxBatchSize: 2 })
    const before = pending().length
    for (let round = 0; round < 100; round++) await load.loadMany([1, 2])
    expect(batches).toHaveLength(100)
    expect(pending().length - before).toBeLessThanOrEqual(1)
  })

  it('goes at the end of the turn, also after a full one of the same turn', async () => {
    const { batches, load } = names({ maxBatchSize: 2 })
    await load.loadMany([1, 2])
    await Promise.all([load.load(3), load.loadMany([4, 5])])
    expect(batches).toEqual([[1, 2], [3, 4], [5]])
    await load.load(6)
    expect(batches.at(-1)).toEqual([6])
  })

  it('gives a list without holes, whatever the answer has', async () => {
    const answers: [number[], string[], unknown[]][] = [
      [[1, 2, 3], new Array(3), [undefined, undefined, undefined]],
      [
        [0, Number.NaN],
        ['zero', 'none'],
        ['zero', 'none'],
      ],
    ]
    for (const [keys, answer, expected] of answers) {
      const load = batcher<number, string>(async () => answer)
      const values = await load.loadMany(keys)
      expect(Object.keys(values)).toEqual(keys.map((_, at) => String(at)))
      expect(values).toEqual(expected)
      // A list of its own: who changes it changes nobody's answer.
      expect(values).not.toBe(answer)
    }
  })

  it('never has more than maxBatchSize keys', async () => {
    const { batches, load } = names({ maxBatchSize: 2 })
    await Promise.all([1, 2, 3, 1].map((id) => load.load(id)))
    expect(batches).toEqual([
      [1, 2],
      [3, 1],
    ])
  })

  it('goes when its first key has waited maxWait, however many follow', async () => {
    const clock = virtualClock()
    const { batches, load } = names({ maxWait: 10, clock })
    const asked = [load.load(0)]
    for (let id = 1; id < 4; id++) {
      await clock.advance(4)
      asked.push(load.load(id))
    }
    expect(batches).toEqual([[0, 1, 2]])
    await clock.advance(10)
    expect(batches).toEqual([[0, 1, 2], [3]])
    await Promise.all(asked)
    expect(clock.timers).toEqual([])
  })

  it('goes at once when it is full or flushed, and leaves no timer', async () => {
    const clock = virtualClock()
    const { batches, load } = names({ maxWait: 1_000, maxBatchSize: 2, clock })
    await Promise.all([load.load(1), load.load(2)])
    const third = load.load(3)
    await load.flush()

    expect(await third).toBe('name 3')
    expect(batches).toEqual([[1, 2], [3]])
    expect(clock.timers).toEqual([])
    await load.flush()
  })

  it('waits for those before it beyond maxConcurrentBatches, and fills up meanwhile', async () => {
    const { load, gates, keys } = byHand({ maxConcurrentBatches: 1, maxBatchSize: 3 })
    const first = load.load(1)
    await quiet()
    const more = [load.load(2)]
    await quiet()
    more.push(load.load(3), load.load(4), load.load(5))
    expect(load.stats()).toMatchObject({ running: 1, queued: 4 })
    gates[0]?.open([1])
    await first
    await quiet()
    expect(keys).toEqual([[1], [2, 3, 4]])
    gates[1]?.open([2, 3, 4])
    await quiet()
    gates[2]?.open([5])
    expect(await Promise.all(more)).toEqual([2, 3, 4, 5])
  })

  it('runs in the context of the load that opened it', async () => {
    const store = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const load = batcher<number, number>(
      async (ids) => {
        seen.push(store.getStore())
        return ids
      },
      { maxBatchSize: 2, maxConcurrentBatches: 1 },
    )
    const asked = ['a', 'b', 'c', 'd'].map((user, id) => store.run(user, () => load.load(id)))
    await store.run('whoever flushes', () => load.flush())
    await Promise.all(asked)
    expect(seen).toEqual(['a', 'c'])
  })
})

describe('answers', () => {
  it('may come by key, in a Map or an object', async () => {
    const byMap = batcher<number, string>(
      (ids) => new Map(ids.map((id) => [id, `m${id}`] as const)),
    )
    expect(await byMap.loadMany([3, 1, 2])).toEqual(['m3', 'm1', 'm2'])
    const byObject = batcher<string, string>((ids) =>
      Object.fromEntries(ids.map((id) => [id, `o${id}`])),
    )
    expect(await byObject.loadMany(['b', 'a', '__proto__'])).toEqual(['ob', 'oa', 'o__proto__'])
    type Key = { readonly id: number }
    const byId = batcher<Key, string>(() => new Map([[7, 'seven']]) as never, {
      key: ({ id }) => id,
    })
    expect(await byId.load({ id: 7 })).toBe('seven')
  })

  it('may come by the keys themselves, or by what they are known by', async () => {
    interface Key {
      readonly id: number
    }
    const of = (known: (key: Key) => unknown) =>
      batcher<Key, string>((keys) => new Map(keys.map((key) => [known(key) as Key, 'found'])), {
        key: ({ id }) => id,
      })

    expect(await of((key) => key).load({ id: 1 })).toBe('found')
    expect(await of(({ id }) => id).load({ id: 1 })).toBe('found')
  })

  it('may come from a fallback, which finds the keys of the batch', async () => {
    const load = batcher<number, string>(() => Promise.reject(new Error('down')), {
      policy: fallback((_error, { args }) => (args[0] as number[]).map((id) => `stale ${id}`)),
    })

    expect(await load.loadMany([2, 1])).toEqual(['stale 2', 'stale 1'])
  })

  it('fail the keys that they leave out, or give what missing says', async () => {
    const some = batcher<string, string>(() => ({ a: 'A' }))
    const [a, b] = await some.loadMany(['a', 'toString'])
    expect(a).toBe('A')
    expect(b).toBeInstanceOf(KeyMissingError)
    expect(b).toMatchObject({ code: 'ERR_KEY_MISSING', key: 'toString' })

    const nothing = batcher<string, string | null>(() => new Map(), { missing: () => null })
    expect(await nothing.load('a')).toBeNull()
  })

  it('fail a key alone with an Error among them', async () => {
    const down = new Error('no 2')
    const load = batcher<number, number>((ids) => ids.map((id) => (id === 2 ? down : id)))
    const ends = await Promise.allSettled([1, 2, 3].map((id) => load.load(id)))
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await load.loadMany([1, 2, 2])).toEqual([1, down, down])
  })

  const wrong: readonly (readonly [string, unknown])[] = [
    ['too few', [1]],
    ['too many', [1, 2, 3]],
    ['nothing', undefined],
    ['null', null],
    ['a number', 2],
    ['text', 'ab'],
    ['a set', new Set([1, 2])],
    ['an error', new Error('returned')],
    ['promises', [Promise.resolve(1), Promise.resolve(2)]],
  ]
  it.each(wrong)(
    'of the wrong shape (%s) are an error of their batch alone',
    async (_what, odd) => {
      const answers: unknown[] = [odd, [1, 2]]
      const load = batcher<number, number>((() => answers.shift()) as LoadMany<number, number>)
      const ends = await Promise.allSettled([load.load(1), load.load(2)])
      for (const end of ends) {
        expect(end).toMatchObject({ status: 'rejected', reason: { name: 'TypeError' } })
      }
      expect(await load.loadMany([1, 2])).toEqual([1, 2])
      expect(load.stats()).toMatchObject({ failed: 1, running: 0 })
    },
  )

  it('that are thrown or rejected reach everybody unchanged', async () => {
    const error = { odd: true }
    const load = batcher<number, number>(() => {
      throw error
    })
    expect((await caught(load.load(1))).error).toBe(error)
    const [only] = await load.loadMany([1])
    expect(only).toMatchObject({ message: '[object Object]', cause: error })
  })

  it('that never come are ended by a policy', async () => {
    const clock = virtualClock()
    const policy = timeout({ duration: 100, clock })
    const load = batcher<number, number>(hangs, { policy, clock })
    const call = watch(load.load(1))
    await clock.advance(100)
    expect(call.reason).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(load.stats().running).toBe(0)
  })
})

describe('the cache', () => {
  it.each([0, '', false, null, undefined, Number.NaN])('remembers %s', async (value) => {
    let calls = 0
    const load = batcher<string, unknown>(
      (keys) => {
        calls++
        return keys.map(() => value)
      },
      { cache: true },
    )
    expect(await load.load('a')).toBe(value)
    expect(await load.load('a')).toBe(value)
    expect(await load.loadMany(['a', 'a'])).toEqual([value, value])
    expect(calls).toBe(1)
    expect(load.stats()).toMatchObject({ hits: 3, cached: 1 })
  })

  it('shares a load under way, and remembers no error', async () => {
    const { load, gates } = byHand({ cache: true })
    const first = load.load(1)
    await quiet()
    const second = load.load(1)
    const both = load.loadMany([1, 1])
    gates[0]?.open([new Error('down')])
    expect((await caught(first)).error).toEqual(new Error('down'))
    expect((await caught(second)).error).toEqual(new Error('down'))
    expect(await both).toEqual([new Error('down'), new Error('down')])

    const again = load.load(1)
    await quiet()
    gates[1]?.open([11])
    expect(await again).toBe(11)
    const whole = load.load(2)
    await quiet()
    gates[2]?.fail(new Error('whole'))
    await caught(whole)
    expect(load.stats().cached).toBe(1)
  })

  it('forgets after ttl, and beyond maxSize what was not asked for again', async () => {
    const clock = virtualClock()
    const { batches, load } = names({ cache: { ttl: 100, maxSize: 2 }, clock })
    await load.load(1)
    await clock.advance(99)
    await load.load(1)
    await clock.advance(1)
    await load.load(1)
    expect(batches).toEqual([[1], [1]])

    await load.load(2)
    await load.load(1)
    await load.load(3)
    await load.load(1)
    expect(load.stats().cached).toBe(2)
    expect(batches).toEqual([[1], [1], [2], [3]])
    await load.load(2)
    expect(batches).toHaveLength(5)
  })

  it('counts answers alone: what is cleared before its answer was none', async () => {
    const { load, gates } = byHand({ cache: true })
    const call = load.load(1)
    await quiet()
    load.clear(1)
    expect(load.stats().cached).toBe(0)
    gates[0]?.open([7])

    expect(await call).toBe(7)
    expect(load.stats().cached).toBe(0)
  })

  it('is cleared and primed by hand, and no late answer undoes that', async () => {
    const { load, gates, keys } = byHand({ cache: true })
    const stale = load.loadMany([1, 2])
    await quiet()
    load.clear(1)
    load.prime(2, 22)
    gates[0]?.open([1, 2])
    expect(await stale).toEqual([1, 2])
    expect(await load.load(2)).toBe(22)
    const fresh = load.load(1)
    await quiet()
    gates[1]?.open([111])
    expect(await fresh).toBe(111)
    load.clearAll()
    expect(load.stats().cached).toBe(0)
    expect(keys).toHaveLength(2)

    expect(() => load.prime(1, new Error('no') as never)).toThrow(TypeError)
    expect(() => byHand().load.prime(1, 1)).toThrow('needs a cache')
  })
})

describe('an abort', () => {
  it('takes its key out of the batch before it is sent, and touches nobody else', async () => {
    const { batches, load } = names()
    const controller = new AbortController()
    const { signal } = controller
    const doomed = load.load(1, { signal })
    const shared = load.load(2, { signal })
    const many = load.loadMany([3, 1], { signal })
    const others = [load.load(2), load.load(4)]
    controller.abort('gone')

    for (const call of [doomed, shared, many]) expect((await caught(call)).error).toBe('gone')
    expect(await Promise.all(others)).toEqual(['name 2', 'name 4'])
    expect(batches).toEqual([[2, 4]])
    expect(listenersOn(signal)).toBe(0)
    expect(load.stats()).toMatchObject({ queued: 0, running: 0 })
  })

  it('only stops waiting once the batch is sent; the last to go aborts it', async () => {
    const { load, gates, signals } = byHand({ cache: true })
    const [one, two] = [new AbortController(), new AbortController()]
    const first = load.load(1, { signal: one.signal })
    const second = load.loadMany([1, 2], { signal: two.signal })
    await quiet()
    one.abort('one')
    expect((await caught(first)).error).toBe('one')
    expect(signals[0]?.aborted).toBe(false)
    two.abort('two')
    expect((await caught(second)).error).toBe('two')
    expect(signals[0]?.aborted).toBe(true)
    gates[0]?.open([1, 2])
    await quiet()
    expect(load.stats()).toMatchObject({ cached: 0, running: 0 })
  })

  it('hurts nobody who asks for the same key again while the batch is under way', async () => {
    const { load, gates, signals } = byHand({ cache: true })
    const [first, second] = [new AbortController(), new AbortController()]
    const gone = [first, second].map(({ signal }, n) => caught(load.load(n + 1, { signal })))
    await quiet()
    first.abort('first')
    const again = watch(load.load(1))
    second.abort('second')
    await Promise.all(gone)

    expect(signals[0]?.aborted).toBe(false)
    gates[0]?.open([7, 8])
    await quiet()
    expect(again.value).toBe(7)
  })

  it('of all members sends nothing, and leaves no timer, line or slot', async () => {
    const clock = virtualClock()
    const { load, gates, keys } = byHand({ maxWait: 50, maxConcurrentBatches: 1, clock })
    const alone = new AbortController()
    const left = load.load(1, { signal: alone.signal })
    alone.abort('left')
    await caught(left)
    expect(clock.timers).toEqual([])

    const running = load.load(2)
    await clock.advance(50)
    const controller = new AbortController()
    const inLine = load.load(3, { signal: controller.signal })
    await clock.advance(50)
    controller.abort('gone')
    await caught(inLine)
    gates[0]?.open([2])
    await running
    await quiet()
    expect(keys).toEqual([[2]])
    expect(load.stats()).toMatchObject({ queued: 0, running: 0 })
  })

  it('between being told and being sent gives the slot back', async () => {
    const { load, keys } = byHand({ maxBatchSize: 1, maxConcurrentBatches: 1 })
    const controller = new AbortController()
    const call = load.load(1, { signal: controller.signal })
    controller.abort('just then')
    await caught(call)
    await quiet()
    expect(keys).toEqual([])
    expect(load.stats()).toMatchObject({ running: 0, queued: 0 })
    const before = load.load(1, { signal: AbortSignal.abort('before') })
    expect((await caught(before)).error).toBe('before')
    expect((await caught(load.loadMany([1], { signal: AbortSignal.abort(7) }))).error).toBe(7)
  })

  it('that never comes leaves nothing on the signal', async () => {
    const { load } = names({ cache: true })
    const { signal } = new AbortController()
    await load.load(1, { signal })
    await load.load(1, { signal })
    await load.load(1, {})
    await load.loadMany([1, 2], { signal })
    expect(listenersOn(signal)).toBe(0)
  })
})

describe('a batcher', () => {
  it('sends each command, in order, when it does not dedupe', async () => {
    const sent: (readonly string[])[] = []
    const write = batcher<string, number>(
      (commands) => {
        sent.push(commands)
        return commands.map((_command, at) => at)
      },
      { dedupe: false },
    )
    expect(await write.loadMany(['add', 'add', 'remove'])).toEqual([0, 1, 2])
    expect(sent).toEqual([['add', 'add', 'remove']])
    const byKey = batcher<string, number>(() => ({ add: 1 }), { dedupe: false })
    expect((await caught(byKey.load('add'))).error).toMatchObject({ name: 'TypeError' })
    expect(() => batcher(() => [], { dedupe: false, cache: true })).toThrow(TypeError)
  })

  it('refuses what does not fit in its queue', async () => {
    const { load } = names({ maxQueue: 2, name: 'users' })
    const events: HoldfastEvent[] = []
    load.subscribe((event) => events.push(event))
    const accepted = [load.load(1), load.load(2)]
    const { error } = await caught(load.load(3))
    expect(error).toBeInstanceOf(BatcherFullError)
    expect(error).toMatchObject({
      code: 'ERR_BATCHER_FULL',
      policy: 'users',
      queued: 2,
      maxQueue: 2,
    })
    expect((await caught(load.loadMany([4, 5, 6]))).error).toBeInstanceOf(BatcherFullError)
    await Promise.all(accepted)
    expect(await load.load(3)).toBe('name 3')
    expect(events.map(({ type }) => type)).toEqual(['reject', 'reject', 'batch', 'batch'])
    expect(events[2]).toMatchObject({ policy: 'users', size: 2 })
  })

  it('refuses a list that does not fit as a whole: no part of it is sent', async () => {
    const { load, batches } = names({ maxQueue: 3 })
    const one = load.load(1)
    expect((await caught(load.loadMany([2, 3, 4]))).error).toBeInstanceOf(BatcherFullError)
    await one

    expect(batches).toEqual([[1]])
  })

  it.each([10, 2, 1])(
    'sends nothing of a list whose `key` fails midway, %s to a batch',
    async (size) => {
      const broken = new Error('a key without an id')
      const key = (id: number): number => {
        if (id < 0) throw broken
        return id
      }
      const { load, batches } = names({ key, maxBatchSize: size })
      const other = load.load(1)
      expect((await caught(load.loadMany([1, 2, 3, -1, 4]))).error).toBe(broken)

      expect(await other).toBe('name 1')
      expect(batches).toEqual([[1]])
      expect(await load.loadMany([2, 3])).toEqual(['name 2', 'name 3'])
      expect(load.stats()).toMatchObject({ queued: 0, running: 0 })
    },
  )

  it('remembers nothing of a list whose `key` fails midway', async () => {
    const key = (id: number): number => {
      if (id < 0) throw new Error('a key without an id')
      return id
    }
    const { load, batches } = names({ key, cache: true })
    await caught(load.loadMany([1, 2, -1]))
    expect(load.stats()).toMatchObject({ cached: 0, queued: 0 })

    expect(await load.load(2)).toBe('name 2')
    expect(batches).toEqual([[2]])
  })

  it('refuses what it could answer, or take along, once it is closed', async () => {
    const { load: cached } = names({ cache: true })
    expect([await cached.load(1), await cached.load(1)]).toEqual(['name 1', 'name 1'])
    await cached.close()
    expect((await caught(cached.load(1))).error).toBeInstanceOf(BatcherClosedError)

    const { load, gates } = byHand({ maxConcurrentBatches: 1 })
    const first = load.load(1)
    await quiet()
    const second = load.load(2)
    const closed = load.close()
    expect((await caught(load.load(3))).error).toBeInstanceOf(BatcherClosedError)
    gates[0]?.open([1])
    await quiet()
    gates[1]?.open([2])
    await closed

    expect(await Promise.all([first, second])).toEqual([1, 2])
  })

  it('closes: nothing new, all that waits is answered, twice is once', async () => {
    const clock = virtualClock()
    const { load, batches } = names({ maxWait: 1_000, clock })
    const pending = times(5, (id) => load.load(id))
    const closed = load.close()
    expect((await caught(load.load(9))).error).toBeInstanceOf(BatcherClosedError)
    expect((await caught(load.loadMany([9]))).error).toBeInstanceOf(BatcherClosedError)
    await Promise.all([closed, load.close()])
    expect(await Promise.all(pending)).toHaveLength(5)
    expect(batches).toHaveLength(1)
    expect(clock.timers).toEqual([])
  })

  it('closes within the limit that a signal sets', async () => {
    const { load, signals } = byHand({ maxConcurrentBatches: 1, maxBatchSize: 1 })
    const calls = times(3, (id) => caught(load.load(id)))
    await quiet()
    const controller = new AbortController()
    const closed = load.close({ signal: controller.signal })
    controller.abort('deploying')
    await closed
    for (const { error } of await Promise.all(calls)) expect(error).toBe('deploying')
    expect(signals[0]).toMatchObject({ aborted: true, reason: 'deploying' })
    expect(load.stats().queued).toBe(0)
    await load.close({ signal: controller.signal })
  })

  it('tells of batches that fail', async () => {
    const events: HoldfastEvent[] = []
    const load = batcher<number, number>(() => Promise.reject(new Error('down')))
    const stop = load.subscribe((event) => events.push(event))
    await caught(load.load(1))
    await quiet()
    expect(events).toMatchObject([{ type: 'batch', size: 1, error: { message: 'down' } }])
    stop()
  })

  it('rejects what is no list, and what its key function throws', async () => {
    const odd = batcher<number, number>((ids) => ids, {
      key: () => {
        throw new Error('no id')
      },
    })
    expect((await caught(odd.load(1))).error).toEqual(new Error('no id'))
    expect((await caught(odd.loadMany(1 as never))).error).toBeInstanceOf(TypeError)
    expect((await caught(odd.load(1, { sgnal: 1 } as never))).error).toBeInstanceOf(TypeError)
    expect(await odd.loadMany([])).toEqual([])
  })

  it('asks for every place of a list, also where it has none, and of lists of a class of their own', async () => {
    const sent: (readonly unknown[])[] = []
    const load = batcher<unknown, string>(async (keys) => {
      sent.push(keys)
      return Array.from(keys, (key) => `value ${key}`)
    })
    const withHoles = Object.assign(new Array(3), { 0: 'a', 2: 'b' })
    class Own extends Array<unknown> {}

    const lists = [['x', 'y'], withHoles, ['z'], Own.of(1, 2, 3, 4, 5, 6, 7, 8, 9)]
    const answers = await Promise.all(lists.map((list) => load.loadMany(list)))

    const keys = ['x', 'y', 'a', undefined, 'b', 'z', 1, 2, 3, 4, 5, 6, 7, 8, 9]
    expect(sent).toEqual([keys])
    expect(Object.keys(sent[0] as object)).toHaveLength(keys.length)
    expect(answers.flat()).toEqual(keys.map((key) => `value ${key}`))
  })

  it('looks at each key of a list a few times, in however many batches it goes', async () => {
    let looks = 0
    const keys = new Proxy(
      times(2_000, (n) => n),
      {
        get(list, at) {
          looks++
          return Reflect.get(list, at)
        },
      },
    )
    const { load } = names({ maxBatchSize: 10 })

    expect(await load.loadMany(keys)).toHaveLength(2_000)

    expect(looks).toBeLessThan(5 * 2_000)
  })

  it('makes no noise when whoever fails is not looked at', async () => {
    await withoutNoise(async () => {
      const { load } = byHand()
      const controller = new AbortController()
      const call = load.load(1, { signal: controller.signal })
      await quiet()
      controller.abort('gone')
      await caught(call)
      const failing = batcher<number, number>(() => Promise.reject(new Error('down')))
      const { signal } = new AbortController()
      await caught(failing.load(1, { signal }))
    })
  })

  it.each([
    [{ maxBatchSize: 0 }, RangeError],
    [{ maxWait: -1 }, RangeError],
    [{ maxWait: Number.POSITIVE_INFINITY }, RangeError],
    [{ maxQueue: 0 }, RangeError],
    [{ cache: 'yes' }, TypeError],
    [{ cache: { ttl: 0 } }, RangeError],
    [{ cache: { max: 3 } }, TypeError],
    [{ policy: {} }, TypeError],
    [{ batchSize: 3 }, TypeError],
  ])('refuses the options %j', (options, error) => {
    expect(() => batcher(() => [], options as never)).toThrow(error)
    expect(() => batcher('text' as never)).toThrow(TypeError)
  })
})
