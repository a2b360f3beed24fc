/**
 * Whatever a dependency does, whoever stops and starts: every call that got a receipt is done once, and the
 * dependency is never asked more than it can take.
 */
import fc from 'fast-check'
import {
  circuitBreaker,
  drainQueue,
  fallback,
  isQueued,
  memoryQueue,
  pipeline,
  type QueueDrain,
  queueForLater,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { holds } from './seed.ts'

type Step =
  | { readonly do: 'call'; readonly order: number }
  | { readonly do: 'break' | 'mend' | 'stop' | 'start' | 'isolate' | 'close' }
  | { readonly do: 'wait'; readonly ms: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('call' as const), order: fc.nat(8) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3_000) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(...(['break', 'mend', 'stop', 'start', 'isolate', 'close'] as const)),
    }),
  },
)

/** Payment: it knows a charge by its key, as every good payment service does. */
class Payment {
  isDown = false
  running = 0
  most = 0
  readonly charges = new Map<string, number>()
  readonly #clock: VirtualClock
  readonly #takes: number

  constructor(clock: VirtualClock, takes: number) {
    this.#clock = clock
    this.#takes = takes
  }

  async charge(key: string): Promise<string> {
    this.running++
    this.most = Math.max(this.most, this.running)
    await new Promise<void>((resolve) => this.#clock.setTimer(resolve, this.#takes))
    this.running--
    if (this.isDown) throw new Error('payment is down')
    this.charges.set(key, (this.charges.get(key) ?? 0) + 1)
    return key
  }
}

async function play(steps: readonly Step[], takes: number, maxConcurrent: number) {
  const clock = virtualClock()
  const queue = memoryQueue<{ key: string }>({ clock, random: () => 0.5 })
  const payment = new Payment(clock, takes)
  const breaker = circuitBreaker({ failureThreshold: 2, resetTimeout: 1_000, clock })
  const through = pipeline('payment', breaker)
  const later = queueForLater(queue, {
    clock,
    id: ({ args }) => String(args[0]),
    payload: ({ args }) => ({ key: String(args[0]) }),
  })
  const pay = pipeline('orders', fallback(later), through).wrap((key: string) =>
    payment.charge(key),
  )
  const accepted = new Set<string>()
  const live: Promise<unknown>[] = []
  let stopping: Promise<unknown> = Promise.resolve()
  let drain: QueueDrain | undefined
  let mostByDrain = 0
  const start = (): void => {
    // Each has its own limit: one that stops ends its job while the next one begins another.
    let byDrain = 0
    drain ??= drainQueue(queue, {
      clock,
      through,
      maxConcurrent,
      rampUp: 500,
      run: async (job) => {
        mostByDrain = Math.max(mostByDrain, ++byDrain)
        await payment.charge(job.payload.key).finally(() => byDrain--)
      },
    })
  }
  const act = async (doing: Step): Promise<void> => {
    if (doing.do === 'wait') await clock.advance(doing.ms)
    else if (doing.do === 'call') {
      const key = `order-${doing.order}`
      live.push(pay(key).then((answer) => isQueued(answer) && accepted.add(key)))
    } else if (doing.do === 'break') payment.isDown = true
    else if (doing.do === 'mend') payment.isDown = false
    else if (doing.do === 'isolate') breaker.isolate()
    else if (doing.do === 'close') breaker.close()
    else if (doing.do === 'start') start()
    else {
      stopping = Promise.all([stopping, drain?.stop()])
      drain = undefined
    }
  }
  for (const doing of steps) await act(doing)
  // Faults stop: then everything that was accepted has to be done.
  payment.isDown = false
  if (breaker.state === 'isolated') breaker.close()
  start()
  await clock.advance(3_600_000)
  await Promise.all(live)
  const counts = await queue.counts()
  await Promise.all([stopping, drain?.stop()])
  return { clock, payment, accepted, counts, mostByDrain }
}

describe('calls that were queued for later', () => {
  it('are done once the dependency is back, and leave nothing behind', async () => {
    await holds(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, takes, maxConcurrent) => {
          const { clock, payment, accepted, counts, mostByDrain } = await play(
            steps,
            takes,
            maxConcurrent,
          )

          expect([...accepted].filter((key) => !payment.charges.has(key))).toEqual([])
          expect(counts).toMatchObject({ size: 0, dead: 0, completed: accepted.size })
          expect(mostByDrain).toBeLessThanOrEqual(maxConcurrent)
          expect(payment.running).toBe(0)
          clock.assertIdle()
        },
      ),
    )
  }, 300_000)
})
