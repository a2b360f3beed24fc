/** Tasks of every kind, as a user's module would export them. Runs in worker threads. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { threadId } from 'node:worker_threads'

export default (task) => task

export const echo = (task) => task
export const double = async (n) => n * 2
export const thread = () => threadId
export const notAFunction = 42

/** Blocks its thread; takes no notice of anything. */
export function spin(ms) {
  const end = performance.now() + ms
  while (performance.now() < end);
  return ms
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms, ms))
export const hang = () => new Promise(() => {})

/** Says through shared memory that it has begun, then hangs, spins, or waits until it is released. */
export function beginAnd({ began, how, ms }) {
  Atomics.add(began, 0, 1)
  const wait = () => Atomics.wait(began, 1, 0) && 'released'
  return { hang, sleep, spin, wait }[how](ms)
}

export const exit = (code) => process.exit(code)
export const exitLater = (code) => void setTimeout(() => process.exit(code), 5)
export function crashLater() {
  setTimeout(() => {
    throw new Error('crashed while idle')
  }, 5)
}
export const reject = () => {
  Promise.reject(new Error('nobody awaits me'))
  return hang()
}

export function eat() {
  const eaten = []
  for (;;) eaten.push(new Array(10_000).fill({}).map((_, n) => ({ n })))
}

export const uncloneable = () => ({ fn: () => {} })
export const returnsError = () => new RangeError('as a value')

export class PaymentError extends Error {
  name = 'PaymentError'
  constructor(message, facts, options) {
    super(message, options)
    Object.assign(this, facts)
  }
}

export const fails = {
  coded: () => {
    const cause = Object.assign(new TypeError('inner'), { code: 'E_INNER' })
    throw new PaymentError('declined', { code: 'E_DECLINED', retryAfter: 7 }, { cause })
  },
  many: () => {
    const errors = [Object.assign(new Error('one'), { code: 1 }), 'two', new RangeError('three')]
    throw new AggregateError(errors, 'several')
  },
  circular: () => {
    const error = new Error('round')
    error.cause = error
    throw error
  },
  uncloneable: () => {
    throw Object.assign(new Error('with a handle'), { code: 'E_X', socket: { write() {} } })
  },
  getter: () => {
    const error = new Error('bites')
    Object.defineProperty(error, 'facts', {
      enumerable: true,
      get: () => {
        throw new Error('bite')
      },
    })
    throw error
  },
  string: () => {
    throw 'just text'
  },
  nothing: () => {
    throw undefined
  },
  record: () => {
    throw { code: 7 }
  },
  callable: () => {
    throw () => {}
  },
  aborted: () => {
    throw new DOMException('stop', 'AbortError')
  },
  branded: () => {
    const error = new Error('open')
    Object.assign(error, { code: 'ERR_CIRCUIT_OPEN', policy: 'inner' })
    error[Symbol.for('holdfast.error')] = true
    error[Symbol.for('holdfast.rejected')] = true
    throw error
  },
}
export const fail = (kind) => fails[kind]()

export const bytes = (size) => new Uint8Array(size).fill(7)
export const length = (buffer) => buffer.byteLength

/** Sends a buffer back by moving it, and says next time what it has kept. */
export function moved(size) {
  const bytes = new Uint8Array(size)
  const message = { length: size, bytes }
  const port = new MessageChannel()
  port.port1.postMessage(message, [bytes.buffer])
  port.port1.close()
  return { length: size, left: bytes.byteLength }
}

/** Ends by itself when told to. */
export const polite = (ms, { signal }) =>
  new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
    setTimeout(resolve, ms, 'not told')
  })

const store = new AsyncLocalStorage()
export const context = () => store.getStore()
