/** Random histories of two processes on one store, against a list that does the same without any cleverness. */
import { DatabaseSync } from '@photostructure/sqlite'
import fc from 'fast-check'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { shareHandle } from '../../src/adapters/sqlite/shared.ts'
import { SqliteStore } from '../../src/adapters/sqlite/store.ts'
import { settleQueue } from '../../src/resources/deferred-queue/options.ts'
import type { JobLease, Settlement, TakenJob } from '../../src/resources/deferred-queue/store.ts'
import { holds } from './seed.ts'

const kinds = [
  'add',
  'add',
  'add',
  'take',
  'take',
  'complete',
  'complete',
  'again',
  'not now',
  'bury',
  'renew',
  'requeue',
  'remove',
  'advance',
  'advance',
] as const
type Step = readonly [kind: (typeof kinds)[number], a: number, b: number, c: number]
const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom(...kinds),
  fc.nat(1_000),
  fc.nat(1_000),
  fc.nat(1_000),
)
const shape = fc.record({
  maxSize: fc.constantFrom(3, 6, 100),
  keepCompleted: fc.constantFrom(0, 500, 1_000_000),
})

/** A job as somebody would write it down on paper. */
interface Note {
  readonly id: string
  readonly key: string | undefined
  place: number
  state: 'open' | 'active' | 'dead' | 'completed'
  dueAt: number
  attempts: number
  errors: number
  until: number
  token: string | undefined
  endedAt: number
  /** Of two leases that ran out at the same moment the earlier row is taken back first. */
}

class Model {
  notes: Note[] = []
  #places = 0
  readonly maxSize: number
  readonly keepCompleted: number

  constructor(maxSize: number, keepCompleted: number) {
    this.maxSize = maxSize
    this.keepCompleted = keepCompleted
  }

  known(id: string, now: number): Note | undefined {
    const note = this.notes.find((one) => one.id === id)
    const isForgotten = note?.state === 'completed' && note.endedAt <= now - this.keepCompleted
    return isForgotten ? undefined : note
  }

  get size(): number {
    return this.notes.filter(({ state }) => state !== 'completed').length
  }

  add(id: string, key: string | undefined, dueAt: number, now: number): string {
    if (this.known(id, now) !== undefined) return 'duplicate'
    if (this.size >= this.maxSize) return 'full'
    this.notes = this.notes.filter((one) => one.id !== id)
    const times = { dueAt, attempts: 0, errors: 0, until: 0, endedAt: 0 }
    this.notes.push({ id, key, place: this.#places++, state: 'open', token: undefined, ...times })
    return 'added'
  }

  isHead(note: Note): boolean {
    const isLive = ({ state }: Note): boolean => state === 'open' || state === 'active'
    return !this.notes.some(
      (other) =>
        note.key !== undefined &&
        other.key === note.key &&
        isLive(other) &&
        other.place < note.place,
    )
  }

  take(limit: number, leaseTime: number, now: number): string[] {
    const lost = this.notes
      .filter(({ state, until }) => state === 'active' && until <= now)
      .sort((a, b) => a.until - b.until || a.place - b.place)
    for (const note of lost.slice(0, limit)) {
      note.state = 'open'
      note.errors++
      note.token = undefined
    }
    const due = this.notes
      .filter((note) => note.state === 'open' && note.dueAt <= now && this.isHead(note))
      .sort((a, b) => a.dueAt - b.dueAt || a.place - b.place)
      .slice(0, limit)
    for (const note of due) {
      note.state = 'active'
      note.attempts++
      note.until = now + leaseTime
    }
    return due.map(({ id }) => id)
  }

  settle({ token }: JobLease, end: Settlement): boolean {
    const note = this.notes.find((one) => one.state === 'active' && one.token === token)
    if (note === undefined) return false
    note.token = undefined
    if (end.kind === 'completed') {
      note.state = 'completed'
      note.endedAt = end.at
      return true
    }
    if (!end.counts) note.attempts--
    if (end.error !== undefined) note.errors++
    note.state = end.kind === 'dead' ? 'dead' : 'open'
    if (end.kind === 'again') note.dueAt = end.dueAt
    else note.endedAt = end.at
    return true
  }

  requeue(id: string, dueAt: number, now: number): boolean {
    const note = this.known(id, now)
    if (note?.state !== 'dead') return false
    Object.assign(note, { state: 'open', dueAt, attempts: 0, place: this.#places++ })
    return true
  }

  remove(id: string, now: number): boolean {
    const note = this.known(id, now)
    if (note === undefined || (note.state === 'active' && note.until > now)) return false
    this.notes = this.notes.filter((one) => one !== note)
    return true
  }

  stateOf(note: Note, now: number): string {
    if (note.state !== 'open') return note.state
    if (!this.isHead(note)) return 'blocked'
    return note.dueAt <= now ? 'waiting' : 'delayed'
  }
}

describe('a queue in SQLite', () => {
  it('does what a list on paper does, in any history of two processes', async () => {
    await holds(
      fc.asyncProperty(shape, fc.array(step, { maxLength: 60 }), async (sizes, history) => {
        const clock = virtualClock()
        const database = new DatabaseSync(':memory:')
        const settings = settleQueue({ ...sizes, clock, random: () => 0.5 })
        const share = shareHandle(database, settings, {
          durability: 'full',
          busyTimeout: 0,
          pollInterval: 1_000,
          check: false,
        })
        const parts = { ...share, queue: share.queueOf('queue'), settings }
        const stores = [new SqliteStore(parts), new SqliteStore(parts)] as const
        share.setUp(() => stores[0].setUp())
        const model = new Model(sizes.maxSize, sizes.keepCompleted)
        const held: TakenJob[] = []

        for (const [kind, a, b, c] of history) {
          const store = stores[a % 2] as SqliteStore
          const now = clock.wallTime()
          const id = `job-${b % 9}`
          const lease = held[b % Math.max(held.length, 1)]
          const error = { attempt: 1, at: now, name: 'Error', message: 'no' }
          const dueAt = now + (c % 4) * 100
          const settle = async (end: Settlement): Promise<void> => {
            if (lease !== undefined) {
              expect(await store.settle(lease, end)).toBe(model.settle(lease, end))
            }
          }
          if (kind === 'advance') await clock.advance(c % 3 === 0 ? c : c % 200)
          else if (kind === 'add') {
            const key = c % 3 === 0 ? undefined : `key-${c % 3}`
            const job = { id, key, payload: '1', context: {}, enqueuedAt: now, dueAt }
            const added = await store.add({ ...job, isDueAtFixed: false })
            const outcome = typeof added === 'object' ? 'full' : added
            expect(outcome).toBe(model.add(id, key, dueAt, now))
          } else if (kind === 'take') {
            const [limit, leaseTime] = [1 + (b % 4), 100 + (c % 300)]
            const { jobs } = await store.take(limit, leaseTime)
            expect(jobs.map((job) => job.id)).toEqual(model.take(limit, leaseTime, now))
            for (const job of jobs) {
              held.push(job)
              const note = model.known(job.id, now) as Note
              note.token = job.token
              expect([job.attempts, job.errors.length]).toEqual([
                note.attempts,
                Math.min(note.errors, 10),
              ])
            }
          } else if (kind === 'renew' && lease !== undefined) {
            const note = model.notes.find(
              (one) => one.state === 'active' && one.token === lease.token,
            )
            if (note !== undefined) note.until = now + 250
            expect(await store.renew(lease, 250)).toBe(note !== undefined)
          } else if (kind === 'complete') await settle({ kind: 'completed', at: now })
          else if (kind === 'again') await settle({ kind: 'again', dueAt, counts: true, error })
          else if (kind === 'not now') {
            await settle({ kind: 'again', dueAt, counts: false, error: undefined })
          } else if (kind === 'bury') {
            await settle({ kind: 'dead', at: now, reason: 'max-attempts', counts: true, error })
          } else if (kind === 'requeue') {
            expect(await store.requeue(id, dueAt)).toBe(model.requeue(id, dueAt, now))
          } else if (kind === 'remove') {
            expect(await store.remove(id)).toBe(model.remove(id, now))
          }
          await agree(stores[0], model, clock.wallTime())
        }
        await Promise.all(stores.map((store) => store.close()))
        database.close()
      }),
    )
  }, 300_000)
})

async function agree(store: SqliteStore, model: Model, now: number): Promise<void> {
  const { jobs } = await store.list({ limit: 100 })
  const stored = jobs.map(({ id, state, attempts, errors }) => [id, state, attempts, errors.length])
  const noted = model.notes
    .filter(({ id }) => model.known(id, now) !== undefined)
    .sort((one, other) => one.place - other.place)
    .map((note) => {
      const errors = note.state === 'completed' ? 0 : Math.min(note.errors, 10)
      return [note.id, model.stateOf(note, now), note.attempts, errors]
    })
  if (JSON.stringify(stored) !== JSON.stringify(noted)) expect(stored).toEqual(noted)
  const { waiting, delayed, blocked, active, dead } = await store.counts()
  expect(waiting + delayed + blocked + active + dead).toBe(model.size)
}
