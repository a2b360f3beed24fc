import { describe, expect, it } from 'vitest'
import { rejection } from '../../support/calls.ts'
import { next, type StartStore, subject } from './subject.ts'

export function acceptsJobs(start: StartStore): void {
  describe('accepts jobs: it', () => {
    const store = subject(start)

    it('hands the payload over as it came, and to another process too', async () => {
      const payload = {
        text: 'Grüße, 世界 \u0000 \ud83d\ude80 "\\',
        numbers: [0, -1, 1.5, 2 ** 53 - 1, 5e-324],
        nothing: null,
        flags: { yes: true, no: false },
        nested: [[], {}, [{ deep: [1] }]],
        ['__proto__']: 'own',
      }
      await (await store.open()).enqueue(payload)
      const queue = await store.open()
      const seen: unknown[] = []
      const completed = next(queue, 'completed')

      queue.process((job) => void seen.push(job.payload))
      await completed

      expect(seen).toEqual([payload])
    })

    it.each([null, 0, '', false, 'text', 7])('takes %j as a payload', async (payload) => {
      const queue = await store.open()
      const { id } = await queue.enqueue(payload)

      expect((await queue.get(id))?.payload).toBe(payload)
    })

    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    const refused: [what: string, payload: unknown, path: string][] = [
      ['nothing', undefined, 'payload'],
      ['a function', () => 1, 'payload'],
      ['a symbol', Symbol('s'), 'payload'],
      ['a bigint', { price: 1n }, 'payload.price'],
      ['a function inside', { items: [{ run: () => 1 }] }, 'payload.items[0].run'],
      ['NaN', { total: Number.NaN }, 'payload.total'],
      ['Infinity', [Number.POSITIVE_INFINITY], 'payload[0]'],
      ['undefined in an array', [1, undefined], 'payload[1]'],
      ['a cycle', cycle, 'payload.self'],
      ['a Date', { at: new Date(0) }, 'payload.at'],
      ['a Map', { index: new Map() }, 'payload.index'],
      ['an Error', new Error('lost'), 'payload'],
      ['bytes', { file: new Uint8Array(3) }, 'payload.file'],
      ['a list that says something else of itself', { items: listSaying('else') }, 'payload.items'],
      ['a list of a class of its own', [new (class Rows extends Array {})()], 'payload[0]'],
      ['a list with names of its own', { found: 'tea'.match(/(t)e/) }, 'payload.found'],
      ['a name that is a symbol', { item: { [Symbol('s')]: 1 } }, 'payload.item'],
    ]
    it.each(refused)('refuses %s as a payload', async (_what, payload, path) => {
      const queue = await store.open()

      const error = await rejection(queue.enqueue(payload))

      expect(error).toMatchObject({ code: 'ERR_PAYLOAD_NOT_SERIALISABLE', path })
      expect(await queue.counts()).toMatchObject({ size: 0 })
    })

    it('refuses what is nested without end, and names its place in few words', async () => {
      const queue = await store.open()
      let deep: unknown[] = []
      for (let n = 0; n < 100_000; n++) deep = [deep]

      const error = (await rejection(queue.enqueue(deep))) as Error

      expect(error).toMatchObject({ code: 'ERR_PAYLOAD_NOT_SERIALISABLE' })
      expect(error.message).toMatch(/nested more than 500 deep/)
      expect(error.message.length).toBeLessThan(500)
    })

    it('counts a few shared objects that unfold to gigabytes before it unfolds them', async () => {
      const queue = await store.open()
      let shared: object = {}
      for (let n = 0; n < 60; n++) shared = { left: shared, right: shared }

      expect(await rejection(queue.enqueue(shared))).toMatchObject({
        code: 'ERR_PAYLOAD_TOO_LARGE',
      })
    })

    it('refuses a payload above its limit, to the byte', async () => {
      const queue = await store.open({ maxPayloadBytes: 10 })

      await queue.enqueue('12345678')
      await queue.enqueue('üüüü')

      expect(await rejection(queue.enqueue('123456789'))).toMatchObject({
        code: 'ERR_PAYLOAD_TOO_LARGE',
        bytes: 11,
        maxBytes: 10,
      })
      expect(await rejection(queue.enqueue('üüüüx'))).toMatchObject({
        code: 'ERR_PAYLOAD_TOO_LARGE',
      })
      expect(await queue.counts()).toMatchObject({ size: 2 })
    })

    it('stores a job once per id, while it waits, while it is dead, and after it was done', async () => {
      const queue = await store.open()
      const first = await queue.enqueue('first', { id: 'order-1' })
      const again = await queue.enqueue('second', { id: 'order-1' })
      const seen: unknown[] = []
      const completed = next(queue, 'completed')
      queue.process((job) => void seen.push(job.payload))
      await completed
      const late = await queue.enqueue('third', { id: 'order-1' })

      expect([first, again, late]).toEqual([
        { id: 'order-1', duplicate: false },
        { id: 'order-1', duplicate: true },
        { id: 'order-1', duplicate: true },
      ])
      expect(seen).toEqual(['first'])
      expect(await queue.counts()).toMatchObject({ size: 0, completed: 1 })
    })

    it('stores one of many jobs of one id that arrive at once', async () => {
      const [one, two] = [await store.open(), await store.open()]

      const receipts = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).enqueue(n, { id: 'same' })),
      )

      expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(1)
      expect(await one.counts()).toMatchObject({ size: 1 })
    })

    it('forgets the id of a completed job after keepCompleted', async () => {
      const queue = await store.open({ keepCompleted: 0 })
      const completed = next(queue, 'completed', { count: 2 })
      queue.process(() => {})
      await queue.enqueue(1, { id: 'order-1' })
      await queue.enqueue(2, { id: 'other' })
      await completed

      expect(await queue.enqueue(3, { id: 'order-1' })).toMatchObject({ duplicate: false })
    })

    it('gives each job an id of its own', async () => {
      const queue = await store.open()

      const receipts = await Promise.all(Array.from({ length: 50 }, (_, n) => queue.enqueue(n)))

      expect(new Set(receipts.map(({ id }) => id)).size).toBe(50)
    })

    it('refuses what is above maxSize, and takes again when there is room', async () => {
      const queue = await store.open({ maxSize: 2 })
      await queue.enqueue(1, { id: 'a' })
      await queue.enqueue(2, { id: 'b' })

      expect(await rejection(queue.enqueue(3))).toMatchObject({
        code: 'ERR_QUEUE_FULL',
        size: 2,
        maxSize: 2,
        dead: 0,
      })
      expect(await queue.enqueue(1, { id: 'a' })).toMatchObject({ duplicate: true })

      await queue.remove('a')
      expect(await queue.enqueue(3)).toMatchObject({ duplicate: false })
    })

    it('counts the dead among those that take a place, and says so', async () => {
      const queue = await store.open({ maxSize: 1 })
      const dead = next(queue, 'dead')
      const worker = queue.process(() => Promise.reject(new Error('no')), { maxAttempts: 1 })
      await queue.enqueue(1)
      await dead
      await worker.stop()

      expect(await rejection(queue.enqueue(2))).toMatchObject({ code: 'ERR_QUEUE_FULL', dead: 1 })
    })

    const wrong: [what: string, options: object, error: RegExp][] = [
      ['an empty id', { id: '' }, /enqueue: id must be/],
      ['an id that a store would confuse with another', { id: 'a\ud800' }, /lone surrogates/],
      ['an id that a store would read to its NUL only', { id: 'order\u0000-7' }, /without NUL/],
      ['a key of half a character', { key: '\udc00' }, /enqueue: key must be/],
      ['a key with a NUL', { key: 'a\u0000b' }, /enqueue: key must be/],
      ['an id that is a number', { id: 7 }, /enqueue: id must be/],
      ['a negative delay', { delay: -1 }, /enqueue: delay must be/],
      ['delay and dueAt', { delay: 1, dueAt: 1 }, /delay or dueAt/],
      ['an unknown option', { dalay: 1 }, /did you mean "delay"/],
      ['a deadline that is no time', { context: { deadline: 'soon' } }, /deadline must be/],
      ['attempts without end', { context: { attempts: Infinity } }, /attempts must be/],
      ['a trace that is no text', { context: { trace: { id: 1 } } }, /trace\.id must be/],
      ['a trace that is a list', { context: { trace: ['id'] } }, /trace must be a plain object/],
    ]
    it.each(wrong)('refuses %s', async (_what, options, message) => {
      const queue = await store.open()

      expect(String(await rejection(queue.enqueue(1, options)))).toMatch(message)
    })
  })
}

function listSaying(what: string): unknown[] {
  return Object.assign([1], { toJSON: () => what })
}
