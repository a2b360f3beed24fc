/**
 * What a batch function may answer, and what is wrong with everything else: a clear error for the batch,
 * before any value can reach the wrong key.
 */
import { show } from '../../core/options.ts'
import { KeyMissingError } from './errors.ts'

export interface Reading {
  readonly name: string
  readonly keys: readonly unknown[]
  /** Whether keys may come twice: then only positions tell them apart. */
  readonly byPosition: boolean
  readonly idOf: ((key: never) => unknown) | undefined
  readonly missing: ((key: never) => unknown) | undefined
}

/** The answers in the order of the keys. An `Error` is the failure of its key. */
export function readAnswers(answers: unknown, reading: Reading): readonly unknown[] {
  const { name, keys, byPosition } = reading
  if (Array.isArray(answers)) {
    if (answers.length !== keys.length) {
      throw wrong(name, `${answers.length} values for ${keys.length} keys; one for each, in order`)
    }
    return awaited(name, answers)
  }
  if (byPosition) throw wrong(name, `${show(answers)}; commands are answered by an array, in order`)
  if (answers instanceof Map) {
    return byKey(reading, (key, id) => {
      if (answers.has(key)) return { value: answers.get(key) }
      return answers.has(id) ? { value: answers.get(id) } : undefined
    })
  }
  if (!isPlainObject(answers)) {
    throw wrong(
      name,
      `${show(answers)}; an array in the order of the keys, a Map or a plain object`,
    )
  }
  return byKey(reading, (_key, id) => {
    const property = typeof id === 'symbol' ? id : String(id)
    return Object.hasOwn(answers, property) ? { value: answers[property] } : undefined
  })
}

function byKey(
  { name, keys, idOf, missing }: Reading,
  find: (key: unknown, id: unknown) => { readonly value: unknown } | undefined,
): readonly unknown[] {
  const values = keys.map((key) => {
    const found = find(key, idOf === undefined ? key : idOf(key as never))
    if (found !== undefined) return found.value
    return missing === undefined ? new KeyMissingError(name, key) : missing(key as never)
  })
  return awaited(name, values)
}

/** A function that sorted or used up the keys it was given answers in an order that nobody knows. */
export function checkOrder(
  name: string,
  keys: readonly unknown[],
  handed: readonly unknown[],
): void {
  if (areSame(keys, handed)) return
  throw wrong(name, 'values by position after it had changed its keys; change a copy of them')
}

function areSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  if (some.length !== others.length) return false
  for (let at = 0; at < some.length; at++) {
    // As a Map tells keys apart: NaN is itself, and 0 is -0.
    const one = some[at]
    const other = others[at]
    if (one !== other && !(Number.isNaN(one) && Number.isNaN(other))) return false
  }
  return true
}

/** The values, if none of them is still to come. */
function awaited(name: string, values: readonly unknown[]): readonly unknown[] {
  for (let at = 0; at < values.length; at++) {
    if (values[at] instanceof Promise) {
      disown(values)
      throw wrong(name, `a promise at position ${at}; await them: Promise.all(…)`)
    }
  }
  return values
}

/** Nobody awaits them any more: one that rejects would end the process. */
function disown(answers: readonly unknown[]): void {
  for (const answer of answers) if (answer instanceof Promise) answer.catch(() => {})
}

function isPlainObject(value: unknown): value is Record<string | symbol, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function wrong(name: string, what: string): TypeError {
  return new TypeError(
    `batcher "${name}": the batch function must answer every key, but gave ${what}`,
  )
}
