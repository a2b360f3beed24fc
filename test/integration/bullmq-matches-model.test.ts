/**
 * Random histories of two processes on one BullMQ queue, against a list: which jobs are known, who has them,
 * and whose turn it is within a key. Time stands still here: nothing is delayed, no lease runs out.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BullStore } from '../../src/adapters/bullmq/store.ts'
import type { Settlement, TakenJob } from '../../src/resources/deferred-queue/store.ts'
import { holds } from '../properties/seed.ts'
import { bullStores } from '../support/bull-stores.ts'
import { hasRedis } from '../support/redis-server.ts'

const kinds = [
  'add',
  'add',
  'add',
  'take',
  'take',
  'complete',
  'again',
  'bury',
  'requeue',
  'remove',
]
const step = fc.tuple(fc.constantFrom(...kinds), fc.nat(8), fc.nat(2), fc.nat(3))

interface Note {
  readonly id: string
  readonly key: string | undefined
  state: 'open' | 'active' | 'dead' | 'completed'
}

/** In the order in which it is their turn. */
class Model {
  notes: Note[] = []

  known(id: string): Note | undefined {
    return this.notes.find((note) => note.id === id)
  }

  isHead({ id, key }: Note): boolean {
    const live = this.notes.filter(({ state }) => state === 'open' || state === 'active')
    return key === undefined || live.find((note) => note.key === key)?.id === id
  }

  /** Behind the others of its key. */
  moveToEnd(note: Note): void {
    this.notes = [...this.notes.filter((other) => other !== note), note]
  }

  counts(): Record<string, number> {
    const counts = { waiting: 0, delayed: 0, blocked: 0, active: 0, dead: 0, completed: 0 }
    for (const note of this.notes) {
      if (note.state !== 'open') counts[note.state]++
      else counts[this.isHead(note) ? 'waiting' : 'blocked']++
    }
    return counts
  }
}

describe.skipIf(!hasRedis())('a queue on BullMQ', () => {
  const open = bullStores()
  let histories = 0

  it('does what a list does, in any history of two processes', async () => {
    await holds(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (history) => {
        const name = `model-${++histories}`
        const stores = [open(name).store, open(name).store] as const
        const model = new Model()
        const held: { readonly job: TakenJob; readonly by: BullStore }[] = []

        const take = async (by: BullStore, limit: number): Promise<number> => {
          const { jobs } = await by.take(limit, 60_000)
          expect(jobs.length).toBeLessThanOrEqual(limit)
          for (const job of jobs) {
            const note = model.known(job.id) as Note
            expect([note.id, note.state, model.isHead(note)]).toEqual([job.id, 'open', true])
            note.state = 'active'
            held.push({ job, by })
          }
          return jobs.length
        }
        const settle = async (at: number, end: Settlement, state: Note['state']): Promise<void> => {
          const [one] = held.splice(at % held.length, 1)
          if (one === undefined) return
          expect(await one.by.settle(one.job, end)).toBe(true)
          expect(await one.by.settle(one.job, end)).toBe(false)
          ;(model.known(one.job.id) as Note).state = state
        }

        for (const [kind, a, b, c] of history) {
          const store = stores[c % 2] as BullStore
          const at = Date.now()
          const id = `job-${a}`
          const note = model.known(id)
          if (kind === 'add') {
            const key = b === 0 ? undefined : `key-${b}`
            const job = { id, key, payload: '1', context: {}, enqueuedAt: at, dueAt: at }
            const added = await store.add({ ...job, isDueAtFixed: false })
            expect(added).toBe(note === undefined ? 'added' : 'duplicate')
            if (note === undefined) model.notes.push({ id, key, state: 'open' })
          } else if (kind === 'take') await take(store, 1 + c)
          else if (kind === 'requeue') {
            expect(await store.requeue(id, at)).toBe(note?.state === 'dead')
            if (note?.state !== 'dead') continue
            note.state = 'open'
            model.moveToEnd(note)
          } else if (kind === 'remove') {
            const isFree = note !== undefined && note.state !== 'active'
            expect(await store.remove(id)).toBe(isFree)
            if (isFree) model.notes = model.notes.filter((other) => other !== note)
          } else if (held.length > 0) {
            const error = undefined
            if (kind === 'complete') await settle(a, { kind: 'completed', at }, 'completed')
            else if (kind === 'again') {
              await settle(a, { kind: 'again', dueAt: at, counts: false, error }, 'open')
            } else {
              const reason = 'max-attempts'
              await settle(a, { kind: 'dead', at, counts: true, reason, error }, 'dead')
            }
          }
        }

        const { waiting = 0, delayed = 0, ...rest } = await stores[0].counts()
        const { waiting: due, delayed: _none, ...others } = model.counts()
        // One that is to run again is "delayed" until somebody looks.
        expect({ due: waiting + delayed, ...rest }).toEqual({ due, ...others })
        // All that is left comes out, each in its turn.
        while (model.notes.some(({ state }) => state === 'open' || state === 'active')) {
          await take(stores[1], 4)
          while (held.length > 0) {
            await settle(0, { kind: 'completed', at: Date.now() }, 'completed')
          }
        }
        await Promise.all(stores.map((store) => store.close()))
      }),
      HISTORIES,
    )
  }, 300_000)
})

/** Each costs a hundred commands that a Redis stores on its disk. */
const HISTORIES = 150
