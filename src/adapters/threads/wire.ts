/**
 * How errors cross the border between threads. Structured cloning keeps name, message and stack of the
 * built-in classes alone: `code`, `cause`, the errors of an AggregateError and the names of classes of one's
 * own are lost, and one property that cannot be cloned loses the whole error. Here they are taken apart on
 * one side and put together on the other; what cannot be cloned is left out.
 */
import { types } from 'node:util'
import { describeError } from '../../core/errors.ts'
import { stackless } from '../../core/stackless.ts'

/** What the worker side answers. */
export type Reply =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: Wired }

/** Anything that can be thrown, fit for `postMessage`. */
export type Wired = { readonly kind: 'plain'; readonly value: unknown } | WiredList | WiredError

interface WiredList {
  readonly kind: 'list'
  readonly items: Wired[]
}

interface WiredError {
  readonly kind: 'error'
  readonly type: string
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Keys of the marks that say which family of ours it belongs to, where it has no class any more. */
  readonly marks: readonly string[]
  readonly facts: (readonly [name: string, value: Wired, enumerable: boolean])[]
}

/** Takes apart what was thrown. Never throws, whatever getters or proxies it meets. */
export function toWire(thrown: unknown): Wired {
  const found = wire(thrown, new Map(), 0)
  if (found !== undefined) return found
  const what = describeError(thrown)
  return toWire(new Error(`a thread threw what cannot be sent to another thread: ${what}`))
}

/** Puts together what was thrown on the other side. */
export function fromWire(wired: Wired): unknown {
  return unwire(wired, new Map())
}

const natives: Readonly<Record<string, ErrorConstructor>> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
}

const marks = ['holdfast.error', 'holdfast.rejected']

/** A chain of causes longer than this says nothing new. */
const deepest = 50

/** What has been taken apart, so that what is there twice, or contains itself, is taken apart once. */
type Seen = Map<object, Wired>

function wire(value: unknown, seen: Seen, depth: number): Wired | undefined {
  if (depth > deepest || typeof value === 'function' || typeof value === 'symbol') return undefined
  const known = seen.get(value as object)
  if (known !== undefined) return known
  if (isError(value)) return wireError(value, seen, depth)
  try {
    const list = Array.isArray(value)
    if (list && value.some(isError)) return wireList(value, seen, depth)
    // A copy: what is sent must not change, nor fail, between this look and the sending.
    return plain(value) ?? (list ? wireList(value, seen, depth) : undefined)
  } catch {
    // A proxy that does not want to be looked at.
    return undefined
  }
}

function plain(value: unknown): Wired | undefined {
  try {
    return { kind: 'plain', value: structuredClone(value) }
  } catch {
    return undefined
  }
}

/** One by one: an error among them would lose what it carries, and another value all the rest. */
function wireList(list: readonly unknown[], seen: Seen, depth: number): WiredList {
  const wired: WiredList = { kind: 'list', items: [] }
  seen.set(list, wired)
  for (const item of list) {
    const one = wire(item, seen, depth + 1)
    if (one !== undefined) wired.items.push(one)
  }
  return wired
}

function wireError(error: Error, seen: Seen, depth: number): WiredError {
  const wired: WiredError = {
    kind: 'error',
    type: typeOf(error),
    name: textOf(error, 'name') ?? 'Error',
    message: textOf(error, 'message') ?? '',
    stack: textOf(error, 'stack'),
    marks: marks.filter((mark) => has(error, Symbol.for(mark))),
    facts: [],
  }
  seen.set(error, wired)
  for (const { key, enumerable } of factsOf(error)) {
    const value = wire(read(error, key), seen, depth + 1)
    if (value !== undefined) wired.facts.push([key, value, enumerable])
  }
  return wired
}

function unwire(wired: Wired, made: Map<object, object>): unknown {
  if (wired.kind === 'plain') return wired.value
  const known = made.get(wired)
  if (known !== undefined) return known
  if (wired.kind === 'list') {
    const list: unknown[] = []
    made.set(wired, list)
    for (const item of wired.items) list.push(unwire(item, made))
    return list
  }
  const { type, name, message, stack } = wired
  const error = stackless(() =>
    type === 'AggregateError'
      ? new AggregateError([], message)
      : new (natives[type] ?? Error)(message),
  )
  made.set(wired, error)
  if (error.name !== name) define(error, 'name', name, false)
  if (stack !== undefined) define(error, 'stack', stack, false)
  for (const mark of wired.marks) define(error, Symbol.for(mark), true, false)
  for (const [key, value, enumerable] of wired.facts) {
    define(error, key, unwire(value, made), enumerable)
  }
  return error
}

/** The built-in class it comes from, so that `instanceof` goes on telling as much. */
function typeOf(error: Error): string {
  if (error instanceof AggregateError) return 'AggregateError'
  const type = Object.keys(natives).find(
    (name) => name !== 'Error' && error instanceof (natives[name] as ErrorConstructor),
  )
  return type ?? 'Error'
}

/** All that it carries; a `code` may come from a getter of its class, as that of a DOMException does. */
function factsOf(error: Error): { key: string; enumerable: boolean }[] {
  const facts: { key: string; enumerable: boolean }[] = []
  try {
    const own = Object.getOwnPropertyDescriptors(error)
    for (const [key, { enumerable = false }] of Object.entries(own)) {
      if (!builtIn.has(key)) facts.push({ key, enumerable })
    }
    if (!Object.hasOwn(own, 'code') && 'code' in error)
      facts.push({ key: 'code', enumerable: true })
  } catch {
    // A proxy that does not want to be looked at.
  }
  return facts
}

const builtIn = new Set(['name', 'message', 'stack', '__proto__'])

function isError(value: unknown): value is Error {
  try {
    return types.isNativeError(value) || value instanceof Error
  } catch {
    return false
  }
}

function textOf(error: Error, key: 'name' | 'message' | 'stack'): string | undefined {
  const text = read(error, key)
  return typeof text === 'string' ? text : undefined
}

function read(error: Error, key: string): unknown {
  try {
    return (error as unknown as Record<string, unknown>)[key]
  } catch {
    return undefined
  }
}

function has(error: Error, key: symbol): boolean {
  try {
    return key in error
  } catch {
    return false
  }
}

function define(error: Error, key: string | symbol, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true })
}
