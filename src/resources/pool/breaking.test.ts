import { describe, expect, it } from 'vitest'
import { quiet, rejection } from '../../../test/support/calls.ts'
import { rig, type Thing } from '../../../test/support/pools.ts'
import { pipeline } from '../../pipeline/pipeline.ts'
import { retry } from '../../policies/retry/retry.ts'
import type { CreateContext } from './options.ts'

const hungUp = new Error('hung up')

describe('a resource that says it is broken while it is made', () => {
  it('and then fails is one failure, told at once to whoever waits', async () => {
    const { pool } = rig({
      create: async ({ broken }) => {
        broken()
        throw hungUp
      },
    })

    expect(await rejection(pool.use(() => 'never'))).toBe(hungUp)
    expect(pool.stats()).toMatchObject({ total: 0, createFailed: 1, timedOut: 0 })
  })

  it('and then fails does not condemn the one that the next attempt makes', async () => {
    let attempts = 0
    const ends: (() => void)[] = []
    const create = async ({ broken }: CreateContext): Promise<Thing> => {
      ends.push(() => broken())
      if (++attempts === 1) throw hungUp
      // The socket of the first attempt says goodbye only now.
      ends[0]?.()
      return { id: attempts, broken }
    }
    const { pool } = rig({
      create,
      breaker: pipeline('twice', retry({ maxRetries: 1, baseDelay: 0 })),
    })

    expect(await pool.use(({ id }) => id)).toBe(2)
    ends[0]?.()
    await quiet()

    expect(pool.stats()).toMatchObject({ idle: 1, created: 1, destroyed: 0 })
  })

  it('and is made all the same is never lent', async () => {
    let made = 0
    const create = async ({ broken }: CreateContext): Promise<Thing> => {
      if (++made === 1) broken(hungUp)
      return { id: made, broken }
    }
    const { pool } = rig({ create })

    expect(await pool.use(({ id }) => id)).toBe(2)
    expect(pool.stats()).toMatchObject({ idle: 1, created: 2, destroyed: 1 })
  })
})

it('a creation under way is told that the pool closes, which then waits for nothing', async () => {
  let why: unknown
  const { pool } = rig({
    create: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          why = signal.reason
          reject(why)
        })
      }),
  })
  const waiting = rejection(pool.use(() => 'never'))

  // The clock stands still: nothing here ends by a time limit.
  expect(await pool.close()).toEqual({ forced: 0, errors: [] })

  expect(await waiting).toMatchObject({ code: 'ERR_POOL_CLOSED' })
  expect(why).toMatchObject({ code: 'ERR_POOL_CLOSED' })
  expect(pool.stats()).toMatchObject({ total: 0, createFailed: 1 })
})
