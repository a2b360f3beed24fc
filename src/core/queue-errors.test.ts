import { describe, expect, it } from 'vitest'
import { isRejection, isResilienceError } from './errors.ts'
import {
  LeaseLostError,
  PayloadNotSerialisableError,
  PayloadTooLargeError,
  QueueClosedError,
  QueueFullError,
  QueueStoreError,
} from './queue-errors.ts'

describe('the errors of durable queues', () => {
  const cause = new Error('disk full')

  it.each([
    [
      new QueueFullError('orders', { size: 5, maxSize: 5, dead: 2 }),
      'queue "orders" is full (5 of 5 places taken, 2 by dead jobs); not accepted; shed load, see to its workers and its dead letters, or raise maxSize',
    ],
    [
      new PayloadTooLargeError('orders', 2_000, 1_000),
      'queue "orders": the payload takes 2000 bytes or more, and 1000 are allowed; not accepted; store it elsewhere and enqueue where to find it, or raise maxPayloadBytes',
    ],
    [
      new PayloadNotSerialisableError('orders', 'payload.at', 'is a Date'),
      'queue "orders": payload.at is a Date; not accepted; enqueue plain JSON (text, finite numbers, true, false, null, arrays, plain objects)',
    ],
    [
      new QueueClosedError('orders'),
      'queue "orders" is closed or closing and takes nothing any more; not accepted',
    ],
  ])('say that the job was not accepted, why, and what to do: %s', (error, message) => {
    expect(error.message).toBe(message)
    expect(isRejection(error)).toBe(true)
    expect(error.toJSON()).toMatchObject({ name: error.name, code: error.code, policy: 'orders' })
  })

  it('say whether a job may be there although its store failed', () => {
    const refused = new QueueStoreError('orders', 'enqueue', 'no', cause, 'make room')
    const unknown = new QueueStoreError('orders', 'enqueue', 'unknown', cause)

    expect(refused.message).toBe(
      'queue "orders": enqueue failed: Error: disk full; nothing was stored; make room',
    )
    expect(unknown.message).toBe(
      'queue "orders": enqueue failed: Error: disk full; it may have been stored',
    )
    for (const error of [refused, unknown]) {
      expect(error.cause).toBe(cause)
      expect([isResilienceError(error), isRejection(error)]).toEqual([true, false])
    }
  })

  it('tell a handler that another may have its job', () => {
    const error = new LeaseLostError('orders', 'o-7', 'its lease had run out')

    expect(error).toMatchObject({ code: 'ERR_LEASE_LOST', id: 'o-7' })
    expect(error.message).toBe(
      'queue "orders": job "o-7" was taken from this worker: its lease had run out; it runs again, and what this run still does is not recorded',
    )
    expect(isRejection(error)).toBe(false)
  })
})
