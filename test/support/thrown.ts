/** What functions can throw: everything that JavaScript can, refusals of a policy, and broken predicates. */
import { BulkheadFullError } from 'holdfast'

export const thrown: readonly (readonly [title: string, make: () => unknown])[] = [
  ['an error', () => new Error('failure')],
  ['a programming error', () => new TypeError('undefined is not a function')],
  ['a string', () => 'failure'],
  ['an empty string', () => ''],
  ['a number', () => 42],
  ['zero', () => 0],
  ['null', () => null],
  ['undefined', () => undefined],
  ['false', () => false],
  ['a bigint', () => 1n],
  ['a symbol', () => Symbol('failure')],
  ['a frozen object', () => Object.freeze({ reason: 'failure' })],
  ['a frozen error', () => Object.freeze(new Error('failure'))],
  ['an object without prototype', () => Object.create(null) as object],
  ['a function', () => () => 'failure'],
  ['an object with throwing getters', throwingGetters],
  ['a proxy that throws whatever one does', hostileProxy],
  ['a revoked proxy', revokedProxy],
]

/** Every property that a library may be curious about throws. */
export function throwingGetters(): object {
  const curious = ['name', 'message', 'code', 'cause', 'status', 'headers', 'response', 'stack']
  const object = {}
  for (const key of [...curious, 'statusCode', 'retryAfter', 'constructor', 'then']) {
    Object.defineProperty(object, key, {
      get() {
        throw new Error(`read ${key}`)
      },
    })
  }
  return object
}

function hostileProxy(): object {
  const refuse = (): never => {
    throw new Error('hands off')
  }
  return new Proxy({}, { get: refuse, has: refuse, getPrototypeOf: refuse, ownKeys: refuse })
}

export function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** The refusal of a bulkhead with one slot and no line. */
export function bulkheadFull(name = 'other'): BulkheadFullError {
  const facts = { running: 1, queued: 0, maxConcurrent: 1, maxQueue: 0, waited: 0 }
  return new BulkheadFullError(name, facts)
}

/** Predicates that give no answer. */
export const brokenPredicates: readonly (readonly [how: string, broken: () => never])[] = [
  [
    'throws',
    () => {
      throw new Error('a broken predicate')
    },
  ],
  ['rejects', () => Promise.reject(new Error('a broken predicate')) as never],
  ['says 1', () => 1 as never],
]
