import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NewJob } from '../../resources/deferred-queue/store.ts'
import {
  addError,
  bullId,
  endedAttempts,
  errorsOf,
  type Ledger,
  ledgerField,
  ownId,
  seal,
  storedJob,
  unseal,
} from './record.ts'
import type { BullJob } from './shapes.ts'

const order: NewJob = {
  id: 'order-7',
  payload: '{"n":1}',
  key: 'customer',
  context: { attempts: 2 },
  enqueuedAt: 1_000,
  dueAt: 2_000,
  isDueAtFixed: true,
}
const envelope = seal(order, 'nonce')
const lost = { code: 'ERR_LEASE_LOST' }

function bullJob(facts: BullJob = {}, ledger?: Partial<Ledger>): BullJob {
  const stacktrace = ledgerField({ nonce: 'nonce', errors: [], ...ledger })
  return { data: JSON.stringify(envelope), timestamp: 1_000, stacktrace, ...facts }
}

describe('bullId', () => {
  it('gives back any id, and is never what BullMQ refuses', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), (id) => {
        expect(ownId(bullId(id))).toBe(id)
        expect(bullId(id)).not.toMatch(/:|^\d+$/)
      }),
    )
  })

  it('keeps ids apart that escaping could confuse', () => {
    const ids = ['a:b', 'a%003ab', 'a b', 'a%b', 'j.a', '7', '\ud800', '\ud801']

    expect(new Set(ids.map(bullId)).size).toBe(ids.length)
  })

  it('leaves the id of a foreign job alone', () => {
    expect(ownId('42')).toBe('42')
  })
})

describe('a job in BullMQ', () => {
  it('comes out as it went in', () => {
    const { isDueAtFixed: _, ...facts } = order
    expect(storedJob(bullJob(), bullId('order-7'), 'delayed')).toMatchObject({
      ...facts,
      state: 'delayed',
      attempts: 0,
      errors: [],
    })
  })

  it('counts attempts that ended, leases that ran out, and the one under way', () => {
    const job = bullJob({ attemptsMade: 2, stalledCounter: 1 })

    expect(endedAttempts(job, envelope)).toBe(3)
    expect(storedJob(job, 'x', 'delayed').attempts).toBe(3)
    expect(storedJob(job, 'x', 'active').attempts).toBe(4)
  })

  it('does not count the end that was no attempt', () => {
    const job = bullJob({ attemptsMade: 2, finishedOn: 5 }, { unmade: 1, reason: 'expired' })

    expect(storedJob(job, 'x', 'dead')).toMatchObject({
      attempts: 1,
      reason: 'expired',
      endedAt: 5,
    })
  })

  it('notes each lease that ran out since the last note', () => {
    const error = { attempt: 1, at: 1, name: 'Error', message: 'down' }
    const job = bullJob({ attemptsMade: 1, stalledCounter: 3 }, { errors: [error], lost: 1 })

    expect(errorsOf(job, envelope)).toMatchObject([error, lost, lost])
    expect(errorsOf(job, envelope).map(({ attempt }) => attempt)).toEqual([1, 3, 4])
  })

  it('starts anew when it was requeued', () => {
    const requeued = { ...envelope, nonce: 'other', forgiven: 3, errors: [], dueAt: 9 }
    const job = { ...bullJob({ stalledCounter: 3 }, { lost: 3, dueAt: 5 }) }

    expect(storedJob({ ...job, data: JSON.stringify(requeued) }, 'x', 'delayed')).toMatchObject({
      attempts: 0,
      errors: [],
      dueAt: 9,
    })
  })

  it('keeps the last ten errors', () => {
    const error = (attempt: number) => ({ attempt, at: 0, name: 'Error', message: '' })
    let errors = addError([], undefined)
    for (let n = 1; n <= 12; n++) errors = addError(errors, error(n))

    expect(errors.map(({ attempt }) => attempt)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
  })

  it.each(['{}', 'null', '7', '{"v":2}', 'not JSON', '{"v":1,"id":7}', undefined])(
    'is unreadable when its data are %s, and still shown',
    (data) => {
      const job = { ...bullJob(), data } as BullJob

      expect(unseal(job)).toBeUndefined()
      expect(storedJob(job, 'j.a%0020b', 'waiting')).toMatchObject({
        id: 'a b',
        payload: undefined,
      })
    },
  )
})
