import { bulkhead, CircuitOpenError, type Policy } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { openCircuit } from '../support/breakers.ts'
import { caught, gate, rejection } from '../support/calls.ts'
import { heapInUse } from '../support/leaks.ts'

async function rejectTimes(policy: Policy, calls: number): Promise<void> {
  const ignore = (): void => {}
  for (let call = 0; call < calls; call++) await policy.execute(ignore).catch(ignore)
}

describe('CB17 one error object for every rejection', () => {
  it('keeps nothing of 100,000 rejections while open', async () => {
    const { breaker } = await openCircuit()
    await rejectTimes(breaker, 20_000)
    const before = heapInUse()

    await rejectTimes(breaker, 100_000)

    expect(heapInUse() - before).toBeLessThan(500_000)
    expect(breaker.stats().rejected).toBe(120_000)
  })

  it('makes a new error each time, of the same size, with one cause', async () => {
    const { breaker } = await openCircuit()
    const first = (await rejection(breaker.execute(() => 1))) as CircuitOpenError
    const firstStack = first.stack?.length
    await rejectTimes(breaker, 1_000)
    const last = (await rejection(breaker.execute(() => 1))) as CircuitOpenError

    expect(last).not.toBe(first)
    expect(last.stack?.length).toBe(firstStack)
    expect(last.cause).toEqual(new Error('down'))
    expect((last.cause as Error).cause).toBeUndefined()
  })

  it('shows no change of one rejection in the next', async () => {
    const { breaker } = await openCircuit()
    const { error: first } = await caught(breaker.execute(() => 1))
    Object.assign(first as object, { message: 'mine', mine: true, retryAfter: -1 })

    const { error: second } = await caught(breaker.execute(() => 1))

    expect(second).toBeInstanceOf(CircuitOpenError)
    expect(second).not.toHaveProperty('mine')
    expect((second as CircuitOpenError).retryAfter).toBe(1_000)
  })

  it('keeps nothing of 100,000 rejections of a full bulkhead', async () => {
    const slots = bulkhead({ maxConcurrent: 1 })
    const held = gate()
    const holder = slots.execute(() => held.promise)
    await rejectTimes(slots, 20_000)
    const before = heapInUse()

    await rejectTimes(slots, 100_000)

    expect(heapInUse() - before).toBeLessThan(500_000)
    held.open()
    await holder
    expect(slots.stats()).toMatchObject({ rejected: 120_000, succeeded: 1, inFlight: 0 })
  })
})
