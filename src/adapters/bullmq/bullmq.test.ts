import { describe, expect, it } from 'vitest'
import { bullmqQueue } from './bullmq.ts'
import type { BullMQ } from './shapes.ts'

/** BullMQ that is never reached: options are checked before anything is connected. */
const bullmq: BullMQ = {
  Queue: class {
    constructor(_name: string, { connection }: { connection: unknown }) {
      throw new Error(`connected with ${JSON.stringify(connection)}`)
    }
  } as never,
  Worker: class {} as never,
}

describe('bullmqQueue', () => {
  it.each([
    [{ bullmq }, /bullmqQueue: connection is required/],
    [{ connection: {} }, /bullmqQueue: bullmq is required/],
    [{ bullmq: {}, connection: {} }, /bullmqQueue: bullmq must be BullMQ/],
    [{ bullmq, connection: 6379 }, /bullmqQueue: connection must be/],
    [{ bullmq, connection: 'localhost:6379' }, /bullmqQueue: connection must begin with redis:/],
    [{ bullmq, connection: {}, name: 'a:b' }, /bullmqQueue: name must be .* without colon/],
    [{ bullmq, connection: {}, name: 'a\u0000b' }, /bullmqQueue: name must be .* NUL/],
    [{ bullmq, connection: {}, backend: 'postgres' }, /bullmqQueue: backend must be/],
    [{ bullmq, connection: {}, storeTimeout: 0 }, /bullmqQueue: storeTimeout must be/],
    [{ bullmq, connection: {}, maxsize: 1 }, /did you mean "maxSize"/],
  ])('refuses %o', (options, message) => {
    expect(() => bullmqQueue(options as never)).toThrow(message)
  })

  it('connects when all is well', () => {
    expect(() => bullmqQueue({ bullmq, connection: { port: 6390 } })).toThrow(
      'connected with {"port":6390}',
    )
  })

  it.each(['redis://far:6390', 'rediss://far'])('connects with the URL %s', (url) => {
    expect(() => bullmqQueue({ bullmq, connection: url })).toThrow(
      `connected with {"url":"${url}"}`,
    )
  })

  it('leaves a text to a backend that is named', () => {
    const connection = 'postgres://far/jobs'
    expect(() => bullmqQueue({ bullmq, connection, backend: () => {} })).toThrow(
      'connected with "postgres://far/jobs"',
    )
  })
})
