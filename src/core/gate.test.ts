import { describe, expect, it } from 'vitest'
import { ASKS, beginEra, eras, Gate, UNLIMITED, WATCHED } from './gate.ts'

describe('a Gate', () => {
  it('is open, empty and silent at first', () => {
    expect(new Gate()).toMatchObject({ running: 0, limit: UNLIMITED, alert: 0, since: 0 })
    expect(new Gate(0).limit).toBe(0)
  })

  it('has room for more calls than anybody has, and stays a small integer', () => {
    expect(UNLIMITED).toBe(2 ** 30 - 1)
  })

  it.each(['succeeded', 'failed', 'timedOut', 'rejected', 'aborted'] as const)(
    'counts a call that %s, and only that',
    (ending) => {
      const gate = new Gate()

      gate.count(ending)
      gate.count(ending)

      const { succeeded, failed, timedOut, rejected, aborted } = gate
      const none = { succeeded: 0, failed: 0, timedOut: 0, rejected: 0, aborted: 0 }
      expect({ succeeded, failed, timedOut, rejected, aborted }).toEqual({ ...none, [ending]: 2 })
    },
  )

  it('remembers by itself who asks and who watches', () => {
    const gate = new Gate()

    gate.ask(true)
    gate.ask(true)
    expect(gate.alert).toBe(ASKS)
    gate.watch(true)
    expect(gate.alert).toBe(ASKS | WATCHED)
    gate.ask(false)
    expect(gate.alert).toBe(WATCHED)
    gate.ask(true)
    gate.watch(false)
    expect(gate.alert).toBe(ASKS)
    gate.ask(false)

    expect(gate.alert).toBe(0)
  })
})

describe('beginEra', () => {
  it('makes everybody late who is inside, and nobody who comes now', () => {
    const gate = new Gate()
    gate.running = 3
    const before = eras.now

    beginEra(gate)

    expect(gate.since).toBeGreaterThan(before)
    expect(gate.since).toBeLessThanOrEqual(eras.now)
    expect(gate.running).toBe(0)
  })

  it('leaves other gates alone', () => {
    const [changed, other] = [new Gate(), new Gate()]
    other.running = 1

    beginEra(changed)

    expect(other).toMatchObject({ since: 0, running: 1 })
  })
})
