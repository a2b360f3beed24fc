import {
  bulkhead,
  circuitBreaker,
  FallbackExhaustedError,
  fallback,
  type HoldfastEvent,
  type Policy,
  pipeline,
  timeout,
  withFallback,
} from 'holdfast'
import { scripted, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { caught, gate, hangs, quiet, rejection, watch } from '../support/calls.ts'

const down = new Error('down')
const failing = (): Promise<never> => Promise.reject(down)

describe('FB1 the fallback hides programming errors', () => {
  const bugs: [string, unknown][] = [
    ['a TypeError', new TypeError('undefined is not a function')],
    ['a ReferenceError', new ReferenceError('x is not defined')],
    ['a SyntaxError', new SyntaxError('Unexpected token')],
    ['an assertion', Object.assign(new Error('no'), { name: 'AssertionError' })],
  ]
  it.each(bugs)('lets %s through', async (_title, error) => {
    const policy = fallback(() => 'hidden')

    expect(await rejection(policy.execute(() => Promise.reject(error)))).toBe(error)
    expect(policy.stats()).toMatchObject({ degraded: 0, failed: 1 })
  })

  it('answers dependency failures, and counts and tells each with its cause', async () => {
    const policy = fallback({ name: 'replica', run: () => 'from replica' })
    const events: HoldfastEvent[] = []
    policy.subscribe((event) => event.type === 'fallback' && events.push(event))
    const network = new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } })

    for (const error of [down, network, Object.assign(new Error('no'), { status: 503 })]) {
      expect(await policy.execute(() => Promise.reject(error))).toBe('from replica')
      expect(events.at(-1)).toMatchObject({ source: 'replica', ok: true, cause: error })
    }

    expect(policy.stats()).toMatchObject({ degraded: 3, succeeded: 3, sources: { replica: 3 } })
  })

  it('says that an answer is degraded, and where it is from', async () => {
    const policy = fallback({ name: 'replica', run: () => 'from replica' })

    expect(await policy.executeDetailed(failing)).toMatchObject({
      value: 'from replica',
      source: 'replica',
      degraded: true,
      errors: [down],
    })
    expect(await policy.executeDetailed(() => 'fresh')).toMatchObject({
      value: 'fresh',
      source: 'primary',
      degraded: false,
      errors: [],
    })
  })
})

describe('FB2 the fallback is called when it must not be', () => {
  it('is called exactly once per failed call, and never otherwise', async () => {
    const clock = virtualClock()
    const closed = circuitBreaker({ clock })
    const open = circuitBreaker({ clock })
    open.isolate()
    const full = bulkhead({ maxConcurrent: 1, clock })
    void caught(full.execute(hangs))
    const table: [string, Policy, () => unknown, AbortSignal?][] = [
      ['0 success', closed, () => 'value'],
      ['0 a falsy success', closed, () => undefined],
      ['1 failure', closed, failing],
      ['1 sync failure', closed, () => throwIt(down)],
      ['1 open circuit', open, () => 'value'],
      ['1 full bulkhead', full, () => 'value'],
      ['1 timeout', timeout({ duration: 50, clock }), hangs],
      ['0 aborted before', closed, () => 'value', AbortSignal.abort('enough')],
      ['0 a bug', closed, () => throwIt(new TypeError('bug'))],
      ['0 an abort of somebody', closed, () => throwIt(new DOMException('x', 'AbortError'))],
    ]

    for (const [title, inner, operation, signal] of table) {
      const step = scripted([{ value: 'instead' }])
      const policy = pipeline(
        { name: 'p', clock },
        fallback(() => step()),
        inner,
      )
      const call = watch(policy.execute(operation, { signal }))
      await clock.advance(50)

      expect(`${step.calls} ${title.slice(2)}`).toBe(title)
      expect(call.status).not.toBe('pending')
      if (step.calls === 1) expect(call).toMatchObject({ value: 'instead' })
    }
  })

  it('is not called any more once the caller aborted, nor is its next step', async () => {
    const controller = new AbortController()
    const held = gate()
    const second = scripted(['ok'])
    const policy = fallback(
      () => held.promise,
      () => second(),
    )
    const call = watch(policy.execute(failing, { signal: controller.signal }))
    await quiet()
    controller.abort('enough')
    held.fail(new Error('late'))
    await quiet()

    expect(call).toEqual({ status: 'rejected', reason: 'enough' })
    expect(second.calls).toBe(0)
  })

  it.each(['handles', 'when', 'run'])('goes no further when %s itself aborts', async (where) => {
    const controller = new AbortController()
    const abort = (): boolean => {
      controller.abort('from within')
      return true
    }
    const later = scripted(['ok'])
    const policy = fallback<unknown>({
      steps: [
        {
          run: () => (where === 'run' ? abort() : later()),
          when: () => (where === 'when' ? abort() : true),
        },
        () => later(),
      ],
      handles: () => (where === 'handles' ? abort() : true),
    })

    const call = await caught(policy.execute(failing, { signal: controller.signal }))

    expect(call.error).toBe('from within')
    expect(later.calls).toBeLessThanOrEqual(where === 'run' ? 0 : 1)
    expect(policy.stats()).toMatchObject({ aborted: 1, inFlight: 0, calls: 1 })
  })

  it('leaves out a step whose when says no, and passes the failure on if none is left', async () => {
    const policy = fallback(
      { name: 'a', run: () => 'a', when: () => false },
      { name: 'b', run: () => 'b', when: (error) => error === down },
    )

    expect(await policy.execute(failing)).toBe('b')
    const other = new Error('other')
    expect(await rejection(policy.execute(() => Promise.reject(other)))).toBe(other)
  })
})

describe('FB3 the fallback fails, is slow or returns nothing', () => {
  it.each([undefined, null, false, 0, '', Number.NaN])('takes %s for an answer', async (value) => {
    expect(await fallback(() => value).execute(failing)).toBe(value)
    expect(await fallback(async () => value).execute(failing)).toBe(value)
  })

  it('tries each in turn, and throws all causes in order when all have failed', async () => {
    const causes = [down, new Error('second'), 'third', new TypeError('a bug in a step')]
    const policy = fallback(
      () => Promise.reject(causes[1]),
      { name: 'named', run: () => throwIt(causes[2]) },
      async () => throwIt(causes[3]),
    )

    const error = await rejection(policy.execute(failing))

    expect(error).toBeInstanceOf(FallbackExhaustedError)
    expect(error).toBeInstanceOf(AggregateError)
    expect((error as FallbackExhaustedError).errors).toEqual(causes)
    expect((error as Error).cause).toBe(down)
    expect((error as Error).message).toContain('named')
    expect(policy.stats()).toMatchObject({ exhausted: 1, degraded: 0, failed: 1 })
  })

  it('obeys the deadline when a step hangs, and tells that step', async () => {
    const clock = virtualClock()
    const step = scripted(['hang'])
    const policy = pipeline(
      { name: 'p', clock },
      timeout({ duration: 100, clock }),
      fallback((_error, context) => step(context)),
    )
    const call = watch(policy.execute(failing))
    await clock.advance(100)

    expect(call).toMatchObject({ reason: { code: 'ERR_TIMEOUT', duration: 100 } })
    expect(step.signals[0]?.aborted).toBe(true)
    expect(clock.timers).toEqual([])
  })

  it('gives each step the failure, the arguments, a live signal and the time left', async () => {
    const clock = virtualClock()
    const seen: unknown[] = []
    const policy = pipeline(
      { name: 'p', clock },
      timeout({ duration: 500, clock }),
      fallback((error, { args, signal, remaining }) => {
        seen.push(error, args, signal.aborted, remaining)
        return 'instead'
      }),
      timeout({ duration: 100, clock }),
    )
    const product = policy.wrap((_id: string, _size: number): Promise<string> => hangs())
    const call = product('kelp', 3)
    await clock.advance(100)

    expect(await call).toBe('instead')
    expect(seen).toEqual([
      expect.objectContaining({ code: 'ERR_TIMEOUT' }),
      ['kelp', 3],
      false,
      400,
    ])
  })

  it('asks the alternates of withFallback with the same this and arguments', async () => {
    const shop = {
      name: 'shop',
      price: withFallback(
        async function (this: { name: string }, id: string): Promise<number> {
          throw new Error(`no ${id} in ${this.name}`)
        },
        function replica(this: { name: string }, id: string, error: unknown): string {
          return `${this.name} ${id} ${(error as Error).message}`
        },
      ),
    }

    expect(await shop.price('kelp')).toBe('shop kelp no kelp in shop')
  })

  it('never calls a step of withFallback after a success', async () => {
    const alternate = scripted(['ok'])
    const wrapped = withFallback(
      () => null,
      () => alternate(),
    )

    expect(await wrapped()).toBe(null)
    expect(alternate.calls).toBe(0)
  })

  it('refuses alternatives that are no functions', () => {
    for (const bad of [undefined, null, 42, 'text', {}, { run: 'no' }, { run: () => 1, wen: 1 }]) {
      expect(() => fallback(bad as never)).toThrow(TypeError)
    }
    expect(() => fallback()).toThrow(TypeError)
    expect(() => fallback({ steps: [] })).toThrow(TypeError)
  })
})

function throwIt(error: unknown): never {
  throw error
}
