import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../../test/properties/seed.ts'
import { same, settled } from '../../../test/properties/turn.ts'
import { quiet, watch } from '../../../test/support/calls.ts'
import { TurningClock } from '../../../test/support/turning-clock.ts'
import { virtualClock } from '../../testing/index.ts'
import { createPool } from './pool.ts'

describe('a wait for a resource, on a loop with turns', () => {
  /** A pool of one that is lent, in a turn that has lasted for a second already. */
  async function lent() {
    const clock = new TurningClock()
    const pool = createPool({ create: () => ({}), maxSize: 1, acquireTimeout: 100, clock })
    const lease = await pool.acquire()
    clock.endTurn()
    await clock.virtual.advance(10)
    // Whoever asks first in a turn has its time read.
    watch(pool.acquire({ deadline: clock.now() }))
    clock.block(1_000)
    const pass = async (ms: number): Promise<void> => {
      await clock.virtual.advance(ms)
      clock.endTurn()
      await quiet()
    }
    return { clock, pool, lease, pass }
  }

  it('begins when the turn that was busy with something else has ended', async () => {
    const { clock, pool, lease, pass } = await lent()
    const use = watch(pool.use(() => 'served'))
    const acquire = watch(pool.acquire())
    await pass(0)

    await pass(99)
    expect(pool.stats().waiting).toBe(2)
    await pass(1)

    expect(use).toMatchObject({ status: 'rejected', reason: { waited: 100 } })
    expect(acquire).toMatchObject({ status: 'rejected', reason: { waited: 100 } })
    expect(clock.virtual.timers.map(({ due }) => due)).not.toContain(clock.virtual.now())
    lease.release()
    expect(await pool.use(() => 'next')).toBe('next')
  })

  it('ends at its deadline, whatever the turn was busy with', async () => {
    const { clock, pool, pass } = await lent()
    const deadline = clock.now() + 50
    const late = watch(pool.acquire({ deadline: deadline - 50 }))
    const soon = watch(pool.acquire({ deadline }))
    await pass(0)
    await pass(0)
    expect([late.status, soon.status]).toEqual(['rejected', 'pending'])
    await pass(49)
    expect(soon.status).toBe('pending')
    await pass(1)

    expect(soon).toMatchObject({ status: 'rejected', reason: { waited: 50 } })
  })

  it('is not longer for who came in an earlier turn', async () => {
    const { pool, pass, clock } = await lent()
    await pass(0)
    const first = watch(pool.acquire())
    await pass(0)
    await pass(60)
    const second = watch(pool.acquire())
    clock.block(30)
    await pass(0)
    await pass(40)
    expect([first.status, second.status]).toEqual(['rejected', 'pending'])
    await pass(59)
    expect(second.status).toBe('pending')
    await pass(1)

    expect(second).toMatchObject({ status: 'rejected', reason: { waited: 100 } })
  })
})

describe('a line of those who may wait differently long', () => {
  const join = fc.record({
    kind: fc.constant('join' as const),
    // Few, so that some wait equally long.
    patience: fc.constantFrom(1, 30, 60, 120, Number.POSITIVE_INFINITY),
    mayLeave: fc.boolean(),
  })
  const step = fc.oneof(
    join,
    join,
    fc.record({ kind: fc.constantFrom('leave' as const, 'release' as const), which: fc.nat(30) }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 40 }) }),
  )

  /** A clock that is exact, and one whose time stands still until a turn of its loop has ended. */
  const clocks = {
    exact: () => {
      const clock = virtualClock()
      return { clock, virtual: clock, pass: (ms: number) => clock.advance(ms) }
    },
    turning: () => {
      const clock = new TurningClock()
      const pass = async (ms: number): Promise<void> => {
        clock.endTurn()
        for (let passed = 0; passed < ms; passed++) {
          await clock.virtual.advance(1)
          // A timer that rings looks again in the turn after.
          clock.endTurn()
          clock.endTurn()
          await settled()
        }
      }
      return { clock, virtual: clock.virtual, pass }
    },
  }

  it.each(Object.entries(clocks))(
    'refuses each at its own time, and nobody else, in any history: %s clock',
    async (_, made) => {
      await holds(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (history) => {
          const { clock, virtual, pass } = made()
          const pool = createPool({ create: () => ({}), maxSize: 1, acquireTimeout: 100, clock })
          let lease = await pool.acquire()
          /** Who waits, in order. */
          let line: {
            due: number
            end: string | undefined
            caller: AbortController | undefined
          }[] = []
          const look = (): void => {
            const now = clock.now()
            for (const { due, end } of line) same(end, due <= now ? `late at ${due}` : undefined)
            line = line.filter(({ end }) => end === undefined)
            same(pool.stats().waiting, line.length)
          }
          for (const one of history) {
            if (one.kind === 'join') {
              const caller = one.mayLeave ? new AbortController() : undefined
              const deadline = clock.now() + one.patience
              const place = { due: Math.min(deadline, clock.now() + 100), end: undefined, caller }
              line.push(place)
              const end = (how: string) => void Object.assign(place, { end: how })
              pool.acquire({ deadline, signal: caller?.signal }).then(
                (given) => {
                  lease = given
                  end('served')
                },
                (error) => end(error === 'left' ? 'left' : `late at ${clock.now()}`),
              )
            } else if (one.kind === 'leave') {
              const able = line.filter(({ caller }) => caller !== undefined)
              const chosen = able[one.which % able.length]
              if (chosen === undefined) continue
              chosen.caller?.abort('left')
              await settled()
              same(chosen.end, 'left')
              line = line.filter((place) => place !== chosen)
            } else if (one.kind === 'release' && line.length > 0) {
              const first = line.shift()
              lease.release()
              await settled()
              same(first?.end, 'served')
            } else if (one.kind === 'pass') {
              await pass(one.ms)
              await settled()
              // Who waits keeps the process alive.
              const latest = clock.now() + 100
              const armed = virtual.timers.some(({ due }) => due <= latest)
              same(armed || pool.stats().waiting === 0, true)
            }
            await settled()
            look()
          }
          await pass(150)
          await settled()
          look()
          same(line.length, 0)
          lease.release()
          await pool.close()
          await pass(0)
          virtual.assertIdle()
        }),
        300,
      )
    },
  )
})
