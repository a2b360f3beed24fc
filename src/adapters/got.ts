/**
 * The door `holdfast/got`: an extension for the user's own got, made of its hooks. Got makes the attempts;
 * whether and when there is another is decided here.
 */
import { type Deferred, deferred } from '../core/deferred.ts'
import { readOptions } from '../core/options.ts'
import { type HeaderPair, HttpDoor, KEY, type Watchable } from './http/door.ts'
import type { Answer, Attempted } from './http/exchange.ts'
import { canReplay } from './http/node-body.ts'
import {
  checkHttpOptions,
  type Described,
  type HttpOptions,
  httpChecks,
  originOf,
} from './http/options.ts'

/** Options of {@link resilientGot}. */
export interface ResilientGotOptions extends HttpOptions {}

/** The part of got's options of a request that is used here. */
export interface GotRequest {
  readonly url?: unknown
  readonly method: string
  readonly headers: Record<string, string | string[] | undefined>
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
  readonly isStream?: boolean | undefined
  context: Record<string, unknown>
}

/** What `got.extend` takes. */
export interface GotExtension {
  readonly handlers: [<O, T>(options: O, next: (options: O) => T) => T]
  readonly hooks: {
    readonly beforeRequest: [(options: unknown, context: { retryCount: number }) => Promise<void>]
  }
  readonly retry: {
    readonly calculateDelay: (retry: { readonly error: unknown }) => Promise<number>
  }
}

/** Protection for clients made by got. */
export interface ResilientGot extends Watchable {
  /** What `got.extend` takes. */
  readonly extension: GotExtension
}

/**
 * Puts requests of got 14 under protection: `got.extend(resilientGot().extension)`.
 *
 * Levels, retries and options are those of `resilientFetch`, in place of got's own `retry`. The limit of
 * an attempt covers its body, since got hands over whole answers. Refusals and limits reject with got's
 * `RequestError`, whose `code` and `cause` are those of Holdfast's error.
 *
 * **Use it** for promises. **Not for** `got.stream`, which passes unprotected.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts no-run
 * import { resilientGot } from 'holdfast/got'
 *
 * declare const got: { extend(...options: unknown[]): (url: string) => Promise<unknown> } // import
 *
 * const client = got.extend(resilientGot({ timeout: 5_000 }).extension)
 * ```
 */
export function resilientGot(options: ResilientGotOptions = {}): ResilientGot {
  const given = readOptions('resilientGot', options, httpChecks)
  checkHttpOptions('resilientGot', given)
  const door = new HttpDoor(given)
  return {
    extension: {
      handlers: [
        (request, next) => handle(door, request as GotRequest, next as unknown as Next) as never,
      ],
      hooks: {
        beforeRequest: [
          async (request, { retryCount }) => {
            const session = sessionOf(request as GotRequest)
            await session?.granted(retryCount)
            session?.tell(request as GotRequest)
          },
        ],
      },
      retry: {
        calculateDelay: async ({ error }) => {
          const { options: request } = error as { options?: GotRequest }
          const session = request === undefined ? undefined : sessionOf(request)
          return (await session?.another(error)) ? 1 : 0
        },
      },
    },
    stats: () => door.stats(),
    circuits: () => door.circuits(),
    describe: (address) => door.describe(address),
    subscribe: (listener) => door.subscribe(listener),
  }
}

type Next = (options: GotRequest) => PromiseLike<GotAnswer> & {
  on?(event: 'request', listener: (request: Sent) => void): unknown
}

/** The part of Node's own request that is used here. */
interface Sent {
  destroy(error: Error): unknown
  write(...given: unknown[]): unknown
  end(...given: unknown[]): unknown
}

interface GotAnswer {
  readonly statusCode: number
  readonly headers: Record<string, string | string[] | undefined>
}

/** Where a request keeps its session: got hands its context on to retries and redirects. */
const SESSION = Symbol('holdfast')

function sessionOf({ context }: GotRequest): Session | undefined {
  return (context as { [SESSION]?: Session })[SESSION]
}

function handle(door: HttpDoor, request: GotRequest, next: Next): unknown {
  if (request.isStream) return next(request)
  const session = new Session()
  request.context = { ...request.context, [SESSION]: session }
  session.begin(door, request)
  const promise = next(request)
  promise.on?.('request', (sent) => session.sends(sent))
  promise.then(
    (response) => session.succeed(response),
    (error: unknown) => session.close(error),
  )
  return promise
}

/** One request of got's: the levels say when it may be sent, got says what became of it. */
class Session {
  /** For each attempt: the levels let it be sent. */
  readonly #grants: Deferred<void>[] = []
  /** What ended an attempt before its answer came. */
  readonly #cuts: Error[] = []
  #attempts = 0
  /** Which attempt got is at: it may come later than the levels have given it up. */
  #current = 0
  /** What the next service is told of the attempt under way. */
  #told: readonly HeaderPair[] = []
  #attempt: Deferred<Answer<undefined>> | undefined
  #sent: Sent | undefined
  #over: { readonly error: unknown } | undefined
  #isClosed = false

  begin(door: HttpDoor, request: GotRequest): void {
    const facts = describeGot(request)
    const key = door.keyFor(facts, undefined)
    if (key !== undefined) request.headers[KEY] = key
    const over = (error: unknown): void => {
      this.#over = { error }
      for (const grant of this.#grants) grant.reject(error)
      this.#grant(this.#attempts).reject(error)
    }
    door
      .send<undefined>({
        facts,
        repeatable: door.isRepeatable(facts, undefined, key),
        replayable: () => canReplay(request.body),
        send: (attempt) => {
          this.#told = door.telling(attempt).filter(([name]) => facts.header(name) === null)
          return this.#send(attempt)
        },
      })
      .then(() => over(undefined), over)
  }

  /** Waits until the levels let the attempt pass; redirects are a part of it. */
  granted(retryCount: number): Promise<void> {
    this.#current = retryCount
    return this.#grant(retryCount).promise
  }

  tell({ headers }: GotRequest): void {
    for (const [name, value] of this.#told) headers[name] = value
  }

  sends(request: Sent): void {
    this.#sent = request
    saysOnce(request)
    if (this.#current in this.#cuts) request.destroy(this.#cuts[this.#current] as Error)
  }

  succeed(response: GotAnswer): void {
    this.#attempt?.resolve(answerOf(response))
  }

  /** An attempt has failed: whether there will be another, as soon as it may begin. */
  async another(error: unknown): Promise<boolean> {
    const { name, response } = error as { name?: unknown; response?: GotAnswer }
    const next = this.#current + 1
    // Other errors may come with a response as well: one whose body broke off.
    if (name === 'HTTPError' && response !== undefined) this.succeed(response)
    else if (next === this.#attempts) this.#fail(error)
    try {
      await this.#grant(next).promise
      return true
    } catch (reason) {
      // Of its own the levels have a refusal, or a limit.
      if (reason === undefined || reason === error || isCancel(error)) return false
      throw reason
    }
  }

  /** Got has given up, perhaps without asking: there is no other attempt. */
  close(error: unknown): void {
    this.#isClosed = true
    this.#fail(error)
  }

  #fail(error: unknown): void {
    this.#attempt?.reject(isCancel(error) ? cancelled() : error)
  }

  #send({ aborter: { controller } }: Attempted): Promise<Answer<undefined>> {
    if (this.#isClosed) return Promise.reject(cancelled())
    const attempt: Deferred<Answer<undefined>> = deferred()
    const number = this.#attempts++
    this.#attempt = attempt
    attempt.promise.catch(nothing)
    controller.signal.addEventListener('abort', () => {
      const { reason } = controller.signal
      attempt.reject(reason)
      this.#cuts[number] = reason
      if (number === this.#current) this.#sent?.destroy(reason)
    })
    this.#grant(number).resolve()
    return attempt.promise
  }

  #grant(attempt: number): Deferred<void> {
    let grant = this.#grants[attempt]
    if (grant === undefined) {
      grant = deferred()
      grant.promise.catch(nothing)
      this.#grants[attempt] = grant
      if (this.#over !== undefined) grant.reject(this.#over.error)
    }
    return grant
  }
}

function describeGot({ url, method, headers, signal }: GotRequest): Described {
  const address = new URL(String(url))
  // As the caller gave them: got takes the same object for the next attempt.
  const given = { ...headers }
  return {
    origin: originOf(address),
    url: address,
    method,
    signal,
    header: (name) => {
      const found = given[name]
      return found === undefined ? null : String(found)
    },
  }
}

/**
 * From Node 24 on the callbacks of `write` and `end` hear of a broken connection, and before the event
 * `error` does. Got 14 gives up on the first, and asks for another attempt only on the second.
 */
function saysOnce(request: Sent): void {
  for (const name of ['write', 'end'] as const) {
    const own = request[name]
    request[name] = (...given) => own.apply(request, given.map(unlessBroken))
  }
}

function unlessBroken(given: unknown): unknown {
  if (typeof given !== 'function') return given
  return (error?: unknown) => error || given()
}

function answerOf({ statusCode: status, headers }: GotAnswer): Answer<undefined> {
  const header = (name: string): string | undefined => headers[name]?.toString()
  return { value: undefined, status, header, ended: over, discard: nothing }
}

function cancelled(): DOMException {
  return new DOMException('got waits no longer', 'AbortError')
}

function isCancel(error: unknown): boolean {
  const { name } = error as { name?: unknown }
  return name === 'AbortError' || name === 'CancelError'
}

const over = Promise.resolve()

function nothing(): void {}
