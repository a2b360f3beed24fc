/**
 * The response that `fetch` gave, the very same object, whose body is watched: it stands under a
 * prototype of its own, whose methods ask `fetch`'s own.
 */
import { type BodyLimits, WatchedBody } from './body.ts'

/** What becomes of the body of a response, for the levels that hold it. */
export interface Watched {
  /** Settles when the body has ended; rejects if it broke off. Never unhandled. */
  readonly ended: Promise<unknown>
  /** Lets the connection go. */
  discard(): unknown
}

/** What is known of a response beside its own fields. */
interface State {
  /** Undefined once it was read by `fetch`'s own method: the collector takes its time with responses. */
  body: WatchedBody | undefined
  /** The prototype that it came with. */
  readonly native: Native
  /** Of a clone: the response that it is a copy of, and what reads its share of the body. */
  readonly copy?: { readonly of: Response; readonly share: Response } | undefined
}

/** Hands a constructor an object that is there already. */
function itself(object: object): object {
  return object
}

const Itself = itself as unknown as new (object: object) => object

/** A private field on an object of somebody else's: as invisible as a WeakMap, and cheap to collect. */
class Watching extends Itself {
  readonly #state: State

  constructor(response: Response, state: State) {
    super(response)
    this.#state = state
  }

  static stateOf(response: object): State | undefined {
    return #state in response ? (response as Watching).#state : undefined
  }
}

const over: Watched = { ended: Promise.resolve(), discard: () => undefined }

/**
 * Watches the body of `response` from now on.
 *
 * @param controller - Ends the exchange that the body is a part of.
 */
export function watch(
  response: Response,
  limits: BodyLimits,
  controller: AbortController,
): Watched {
  const native = nativeOf(response)
  if (native === undefined) return over
  const stream = native.body.call(response)
  const length = response.headers.get('content-length')
  if (!isStream(stream) || length === '0') return over
  // A stand-in for fetch may give the same object again.
  if (Watching.stateOf(response) !== undefined) return over
  const state: State = { body: undefined, native }
  const body = new WatchedBody(
    {
      stream,
      abort: (reason) => controller.abort(reason),
      renew: (passedOn) => {
        const { status, statusText, headers } = response
        return new native.Response(passedOn, { status, statusText, headers })
      },
      forget: () => {
        state.body = undefined
      },
    },
    limits,
  )
  state.body = body
  new Watching(response, state)
  Object.setPrototypeOf(response, native.watched)
  return {
    ended: body.ended,
    discard: () => body.discard(length === null ? undefined : Number(length)),
  }
}

/** A class of responses: `fetch`'s own, or that of the user's undici. */
interface Native {
  readonly prototype: Response
  readonly Response: typeof Response
  readonly body: (this: Response) => unknown
  readonly bodyUsed: (this: Response) => boolean
  /** What a watched response stands under, and its clones. */
  readonly watched: object
  readonly copied: object
}

const READS = ['text', 'json', 'arrayBuffer', 'blob', 'bytes', 'formData'] as const
const HEAD = ['url', 'redirected', 'type', 'headers', 'status', 'statusText', 'ok'] as const

const natives = new WeakMap<object, Native>()

/** Undefined for what only looks like a response, such as an object made for a test. */
function nativeOf(response: Response): Native | undefined {
  if (typeof response !== 'object' || response === null) return undefined
  const prototype: unknown = Object.getPrototypeOf(response)
  if (typeof prototype !== 'object' || prototype === null) return undefined
  const known = natives.get(prototype)
  if (known !== undefined) return known
  const body = getterOf(prototype, 'body')
  const bodyUsed = getterOf(prototype, 'bodyUsed')
  const made: unknown = (prototype as { constructor?: unknown }).constructor
  if (body === undefined || bodyUsed === undefined || typeof made !== 'function') return undefined
  const watched = Object.create(prototype, bodyMembers(prototype)) as object
  const native = {
    prototype: prototype as Response,
    Response: made as typeof Response,
    body: body as Native['body'],
    bodyUsed: bodyUsed as Native['bodyUsed'],
    watched,
    copied: Object.create(watched, headMembers()) as object,
  }
  natives.set(prototype, native)
  return native
}

function getterOf(prototype: object, name: string): (() => unknown) | undefined {
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    const found = Object.getOwnPropertyDescriptor(at, name)
    if (found !== undefined) return found.get
  }
  return undefined
}

/** The members that look at the watch first. */
function bodyMembers(prototype: object): PropertyDescriptorMap {
  const members: PropertyDescriptorMap = {
    body: getter(bodyOf),
    bodyUsed: getter(bodyUsedOf),
    clone: method('clone', cloneOf),
  }
  for (const name of READS) {
    if (name in prototype) members[name] = method(name, reading(name))
  }
  return members
}

/** A clone has a share of the body, and the head of what it was cloned from. */
function headMembers(): PropertyDescriptorMap {
  return Object.fromEntries(HEAD.map((name) => [name, getter(headOf(name))]))
}

type Reading = (typeof READS)[number]

function reading(name: Reading): (this: Response) => Promise<unknown> {
  return function (this: Response) {
    const { body, native, copy } = stateOf(this)
    const read = (response: Response): Promise<unknown> =>
      (native.prototype[name as 'text'] as () => Promise<unknown>).call(response)
    if (copy !== undefined) return read(copy.share)
    if (body === undefined || isTaken(this, body, native)) return read(this)
    return body.read(() => read(this), read)
  }
}

function bodyOf(this: Response): unknown {
  const { body, native, copy } = stateOf(this)
  if (copy !== undefined) return native.body.call(copy.share)
  // Somebody reads already: it is fetch's own stream that is locked.
  if (body === undefined || isTaken(this, body, native)) return native.body.call(this)
  return native.body.call(body.passOn())
}

function bodyUsedOf(this: Response): boolean {
  const { body, native, copy } = stateOf(this)
  return native.bodyUsed.call(copy?.share ?? body?.passedOn ?? this)
}

function cloneOf(this: Response): Response {
  const { body, native, copy } = stateOf(this)
  const clone = native.prototype.clone
  if (copy === undefined && (body === undefined || isTaken(this, body, native))) {
    return clone.call(this)
  }
  const share = clone.call(copy?.share ?? (body as WatchedBody).passOn())
  new Watching(share, { body, native, copy: { of: copy?.of ?? this, share } })
  return Object.setPrototypeOf(share, native.copied) as Response
}

/** Somebody reads it by `fetch`'s own method. */
function isTaken(response: Response, body: WatchedBody, native: Native): boolean {
  return body.passedOn === undefined && native.bodyUsed.call(response)
}

function headOf(name: (typeof HEAD)[number]): (this: Response) => unknown {
  return function (this: Response) {
    const { native, copy } = stateOf(this)
    return Reflect.get(native.prototype, name, copy?.of ?? this)
  }
}

function stateOf(response: Response): State {
  const state = Watching.stateOf(response)
  if (state === undefined) throw new TypeError('Illegal invocation')
  return state
}

function isStream(body: unknown): body is ReadableStream<Uint8Array> {
  return typeof (body as { getReader?: unknown } | null)?.getReader === 'function'
}

function getter(get: (this: Response) => unknown): PropertyDescriptor {
  return { get: get as () => unknown, enumerable: true, configurable: true }
}

function method(name: string, value: (this: Response) => unknown): PropertyDescriptor {
  Object.defineProperty(value, 'name', { value: name })
  return { value, writable: true, enumerable: true, configurable: true }
}
