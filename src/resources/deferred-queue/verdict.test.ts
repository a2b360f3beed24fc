import { describe, expect, it } from 'vitest'
import type { Job } from '../../core/deferred-queue.ts'
import { CircuitOpenError } from '../../core/errors.ts'
import { settleProcess } from './options.ts'
import { Judge, recordOf } from './verdict.ts'

const job = { id: 'a', attempt: 1 } as Job
const judge = (options: object = {}): Judge => new Judge(settleProcess(options), () => 0.5)
const open = (retryAfter: number, state: 'open' | 'half-open' | 'isolated' = 'open') =>
  new CircuitOpenError('payment', state, retryAfter, '')

describe('the verdict on a job', () => {
  it('is another attempt for a failure, until there were enough', () => {
    const strict = judge({ maxAttempts: 2, backoff: (n: number) => 10 * n })

    expect(strict.judge(new Error('no'), job)).toEqual({ kind: 'retry', delay: 10 })
    expect(strict.judge(new Error('no'), { ...job, attempt: 2 })).toEqual({
      kind: 'dead',
      reason: 'max-attempts',
    })
  })

  it('is to wait as long as a rejection says, and no longer than half a minute', () => {
    expect(judge().judge(open(700), job)).toEqual({ kind: 'postpone', delay: 700 })
    expect(judge().judge(open(Number.POSITIVE_INFINITY, 'isolated'), job)).toEqual({
      kind: 'postpone',
      delay: 30_000,
    })
  })

  it('is to ask a half-open circuit soon, and ever later while it goes on rejecting', () => {
    const one = judge()
    const delays = Array.from({ length: 5 }, () => one.judge(open(30_000, 'half-open'), job))

    expect(delays.map((verdict) => 'delay' in verdict && verdict.delay)).toEqual([
      100, 200, 400, 800, 1_600,
    ])
    one.forget('another')
    expect(one.judge(open(30_000, 'half-open'), job)).toMatchObject({ delay: 100 })
  })

  it('is to ask a half-open circuit soon, however long the outage before', () => {
    const one = judge()
    for (let trial = 1; trial <= 10; trial++) one.judge(open(700), job)

    expect(one.judge(open(30_000, 'half-open'), job)).toMatchObject({ delay: 100 })
  })

  it('counts each twentieth postponement of a job: it may be the one that opens the circuit', () => {
    const one = judge({ maxAttempts: 1 })
    const kinds = Array.from({ length: 41 }, () => one.judge(open(10), job).kind)

    expect(kinds.filter((kind) => kind === 'dead')).toHaveLength(2)
    expect([kinds[19], kinds[39]]).toEqual(['dead', 'dead'])
    expect(judge({ maxAttempts: 1 }).judge(open(10), { ...job, id: 'b' }).kind).toBe('postpone')
  })

  it('lets no retry wait for ever', () => {
    const endless = judge({ backoff: () => Number.POSITIVE_INFINITY })

    expect(endless.judge(new Error('no'), job)).toEqual({ kind: 'retry', delay: 2_592_000_000 })
  })
})

describe('the record of a failure', () => {
  it('is bounded, and made of anything', () => {
    const huge = Object.assign(new Error('x'.repeat(5_000)), { code: 'y'.repeat(5_000) })
    const broken = Object.defineProperty(new Error('z'), 'name', {
      get() {
        throw new Error('no name')
      },
    })

    expect(recordOf(huge, 1, 2)).toEqual({
      attempt: 1,
      at: 2,
      name: 'Error',
      message: 'x'.repeat(1_000),
    })
    expect(recordOf('text', 1, 2)).toMatchObject({ name: 'Error', message: 'text' })
    expect(recordOf(broken, 1, 2)).toMatchObject({ message: 'an error that cannot be shown' })
  })
})
