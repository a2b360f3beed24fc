/** A receipt is part of the type of an answer, and cannot be taken for a result. */
import * as bullmq from 'bullmq'
import {
  circuitBreaker,
  type DeferredQueue,
  drainQueue,
  fallback,
  isQueued,
  memoryQueue,
  pipeline,
  type QueuedReceipt,
  queueForLater,
} from 'holdfast'
import { bullmqQueue } from 'holdfast/bullmq'
import { describe, expectTypeOf, it } from 'vitest'

interface Charge {
  readonly order: string
}
declare const charge: (order: string) => Promise<number>
declare const charges: DeferredQueue<Charge>
const payload = (): Charge => ({ order: 'o-7' })

describe('a receipt', () => {
  it('widens the answer, and isQueued narrows it again', async () => {
    const later = queueForLater(charges, { payload })
    const pay = pipeline('pay', fallback(later), circuitBreaker()).wrap(charge)

    expectTypeOf(pay).returns.resolves.toEqualTypeOf<number | QueuedReceipt>()
    const answer = await pay('o-7')
    if (isQueued(answer)) expectTypeOf(answer).toEqualTypeOf<QueuedReceipt>()
    else expectTypeOf(answer).toEqualTypeOf<number>()
  })

  it('needs a payload that the queue takes', () => {
    queueForLater(charges, { payload })
    queueForLater(memoryQueue<readonly unknown[]>())
    // @ts-expect-error: the arguments of a call are no Charge
    queueForLater(charges)
    // @ts-expect-error: nor is this
    queueForLater(charges, { payload: () => ({ price: 1 }) })
  })

  it('is worked off with the payload as it was queued', () => {
    drainQueue(charges, {
      through: pipeline('payment'),
      run: (job) => expectTypeOf(job.payload).toEqualTypeOf<Charge>(),
    })
  })
})

describe('a queue on BullMQ', () => {
  it('takes the classes of BullMQ as they are', () => {
    const { Queue, Worker } = bullmq
    const connection = { host: 'localhost' }

    expectTypeOf(bullmqQueue<Charge>({ bullmq, connection })).toEqualTypeOf(charges)
    bullmqQueue({ bullmq: { Queue, Worker }, connection, backend: bullmq.createPostgresBackend })
  })
})
