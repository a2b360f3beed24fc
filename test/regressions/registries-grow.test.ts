import {
  bulkhead,
  circuitBreaker,
  fallback,
  keyed,
  OVERFLOW_KEY,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it, vi } from 'vitest'
import { fail } from '../support/breakers.ts'
import { caught, gate, hangs, quiet } from '../support/calls.ts'
import { collectGarbage, heapInUse, withoutNoise } from '../support/leaks.ts'

async function usePolicyOnce(): Promise<void> {
  const breaker = circuitBreaker()
  const leave = breaker.subscribe(() => {})
  const own = pipeline('request', retry(), breaker, bulkhead({ maxConcurrent: 1 }), timeout(60_000))
  await own.execute(async () => 'fine')
  leave()
}

describe('LC3 registries and listeners grow', () => {
  it('keeps nothing of policies that were made, used once and dropped', async () => {
    for (let n = 0; n < 300; n++) await usePolicyOnce()
    await quiet()
    const before = heapInUse()

    for (let n = 0; n < 3_000; n++) await usePolicyOnce()
    await quiet()

    expect(heapInUse() - before).toBeLessThan(1_500_000)
  })

  it('lets a dropped policy be collected, even with a listener and an open circuit', async () => {
    const refs: WeakRef<object>[] = []
    for (let n = 0; n < 20; n++) {
      const breaker = circuitBreaker({ failureThreshold: 1 })
      breaker.subscribe(() => {})
      await fail(breaker, 1)
      refs.push(new WeakRef(breaker))
    }
    await quiet()
    await quiet()

    collectGarbage()
    await quiet()
    collectGarbage()

    // The last one may still be held by the stack.
    expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThanOrEqual(2)
  })

  it('bounds the keys and keeps the hot one', async () => {
    const clock = virtualClock()
    const breakers = keyed((key) => circuitBreaker({ name: key, clock }), { maxKeys: 100, clock })
    const hot = breakers.get('hot')
    await fail(hot, 2)
    for (let n = 0; n < 10_000; n++) {
      await breakers.execute(`stranger ${n}`, () => n)
      if (n % 50 === 0) expect(breakers.get('hot')).toBe(hot)
      expect(breakers.size).toBeLessThanOrEqual(100)
    }

    expect(breakers.get('hot').stats().consecutiveFailures).toBe(2)
  })

  it('never forgets an open circuit: strangers then share one', async () => {
    const clock = virtualClock()
    const breakers = keyed((key) => circuitBreaker({ name: key, failureThreshold: 1, clock }), {
      maxKeys: 3,
      clock,
    })
    for (const key of ['a', 'b', 'c']) await fail(breakers.get(key), 1)

    const d = breakers.get('d')
    expect(d.name).toBe(OVERFLOW_KEY)
    expect(breakers.get('e')).toBe(d)
    expect([...breakers.keys()].sort()).toEqual(['a', 'b', 'c'])
    expect(breakers.get('a').state).toBe('open')
  })

  it('never forgets a policy with calls under way, not even after its idle time', async () => {
    const clock = virtualClock()
    const slots = keyed(() => bulkhead({ maxConcurrent: 1, clock }), { idleTime: 1_000, clock })
    const held = gate()
    const call = slots.execute('busy', () => held.promise)
    await clock.advance(10_000)
    slots.get('other')

    expect((await caught(slots.execute('busy', hangs))).error).toMatchObject({
      code: 'ERR_BULKHEAD_FULL',
    })
    held.open()
    await call
  })

  it('forgets a policy that nobody used for its idle time, whoever asks next', async () => {
    const clock = virtualClock()
    const breakers = keyed(() => circuitBreaker({ clock }), { idleTime: 1_000, clock })
    const first = breakers.get('key')
    await clock.advance(999)
    expect(breakers.get('key')).toBe(first)
    await clock.advance(1_000)

    expect(breakers.get('key')).not.toBe(first)
  })

  it('is not fooled by keys that are names of Object.prototype', async () => {
    const breakers = keyed((key) => circuitBreaker({ name: key }))
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '']) {
      if (key === '') continue
      expect(breakers.get(key).name).toBe(key)
      expect(await breakers.execute(key, () => key)).toBe(key)
    }
    expect(breakers.size).toBe(4)
  })

  it('keeps its bound, and one policy for each key, when its maker asks for keys itself', () => {
    const made: string[] = []
    const policies = keyed(
      (key) => {
        made.push(key)
        if (made.length <= 3) policies.get(made.length === 1 ? key : `${key}+`)
        return circuitBreaker({ name: key })
      },
      { maxKeys: 1 },
    )

    const first = policies.get('key')

    expect(policies.size).toBe(1)
    expect(made).toEqual(['key', 'key', 'key+', 'key++'])
    expect(policies.get('key')).toBe(first)
  })

  it.each([null, undefined, 5, {}, Promise.resolve()])(
    'says so when its maker gives %o, and keeps nothing',
    async (policy) => {
      const policies = keyed(() => policy as never)
      policies.subscribe(() => {})

      const { error } = await caught(policies.execute('key', () => 1))

      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(
        /^keyed: what create returns for "key" must be a policy \(with execute\), but was /,
      )
      expect(policies.size).toBe(0)
    },
  )

  it('hands out the error of a maker that throws, and makes a new one next time', async () => {
    let broken = true
    const breakers = keyed(() => {
      if (broken) throw new Error('no policy today')
      return circuitBreaker()
    })

    expect((await caught(breakers.execute('key', () => 1))).error).toEqual(
      new Error('no policy today'),
    )
    expect(breakers.size).toBe(0)
    broken = false
    expect(await breakers.execute('key', () => 1)).toBe(1)
  })
})

describe('LC5 an error event that nobody listens to', () => {
  it('never ends the process: every fault, no listener', async () => {
    await withoutNoise(async () => {
      const clock = virtualClock()
      const calls = pipeline(
        { name: 'p', clock },
        fallback({ steps: [() => Promise.reject(new Error('step'))] }),
        retry({ maxRetries: 1, baseDelay: 1, clock }),
        circuitBreaker({ failureThreshold: 2, clock }),
        bulkhead({ maxConcurrent: 1, clock }),
        timeout({ duration: 5, clock }),
      )
      const ends = [hangs, () => Promise.reject(new Error('down')), hangs].map((operation) =>
        caught(calls.execute(operation)),
      )
      await clock.advance(1_000)
      await Promise.all(ends)
    })
  })
})

describe('LC6 fake timers', () => {
  it('works under them, although it was loaded before', async () => {
    vi.useFakeTimers()
    try {
      const calls = pipeline('p', retry({ maxRetries: 1, baseDelay: 1_000 }), timeout(5_000))
      const breaker = circuitBreaker({ failureThreshold: 1, resetTimeout: 60_000 })
      const end = caught(calls.execute(hangs))
      await fail(breaker, 1)
      await vi.advanceTimersByTimeAsync(20_000)
      expect((await end).error).toMatchObject({ code: 'ERR_TIMEOUT', duration: 5_000 })
      expect(breaker.state).toBe('open')
      await vi.advanceTimersByTimeAsync(40_000)
      expect(breaker.state).toBe('half-open')
    } finally {
      vi.useRealTimers()
    }
  })

  it('works again without them', async () => {
    vi.useFakeTimers()
    const policy = timeout(60_000)
    expect(await policy.execute(async () => 'under fake timers')).toBe('under fake timers')
    vi.useRealTimers()

    expect(await policy.execute(async () => 'fine')).toBe('fine')
    const short = timeout(20)
    expect((await caught(short.execute(hangs))).error).toMatchObject({ duration: 20 })
  })
})
