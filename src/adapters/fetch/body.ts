/**
 * Keeps an eye on the body of a response until it has ended: its time, its caller's signal, its progress.
 *
 * Reading it with `text()` and its kin costs nothing: `fetch`'s own method does it, and is raced with the
 * limits. Only who takes the stream itself, clones it, or lets it lie gets one that is passed on piece by
 * piece. What lies unread is read ahead a little, as `fetch` does, so that a small body that nobody wants
 * holds neither slot nor connection.
 */
import { type Linked, link, type SignalHub, unlink } from '../../core/abort.ts'
import { type Clock, inNextTurn, type Timer } from '../../core/clock.ts'
import { type Deferred, deferred } from '../../core/deferred.ts'
import { TimeoutError } from '../../core/errors.ts'
import { quiet } from '../../core/events.ts'
import { judge } from '../../core/outcome.ts'
import { stackless } from '../../core/stackless.ts'
import { type Later, lookLater } from '../http/look-later.ts'

/** So much is read of a body that nobody reads, or wants. */
const AHEAD = 65_536
/** How long a discarded body may take until its connection is closed instead, in ms. */
const DRAIN_TIME = 1_000

/** What ends a body early. */
export interface BodyLimits {
  readonly name: string
  readonly clock: Clock
  /** When the request was made, in ms of the clock. */
  readonly began: number
  /** When it must be over, in ms of the clock. */
  readonly deadline: number
  /** Longest wait for a further piece, in ms. */
  readonly idle: number
  /** The caller's own. */
  readonly signal: AbortSignal | undefined
}

/** The body as `fetch` gave it, under the prototype that it came with. */
export interface Source {
  readonly stream: ReadableStream<Uint8Array>
  /** A response around another stream, for the reading methods. */
  renew(stream: ReadableStream<Uint8Array>): Response
  /** All of it was read by `fetch`'s own method: nothing here is needed any more. */
  forget(): void
  /** Closes the connection. */
  abort(reason: unknown): void
}

export class WatchedBody implements Linked, Later {
  readonly #source: Source
  readonly #limits: BodyLimits
  readonly #ended: Deferred<void> = deferred()
  /** Somebody waits for the server, and not the other way round. */
  #waits = false
  #begun = false
  #isOver = false
  #cutWith: { readonly reason: unknown } | undefined
  #rejectRead: ((reason: unknown) => void) | undefined
  #stream: Response | undefined
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  #output: ReadableByteStreamController | undefined
  #timer: Timer | undefined
  #idleTimer: Timer | undefined

  hub: SignalHub | undefined = undefined
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined

  constructor(source: Source, limits: BodyLimits) {
    this.#source = source
    this.#limits = limits
    this.#ended.promise.catch(nothing)
    const { signal, clock } = limits
    if (signal?.aborted) this.onAbort(signal.reason)
    else if (signal !== undefined) link(signal, this)
    lookLater(clock, this)
  }

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** The response around the stream that is passed on, once there is one. */
  get passedOn(): Response | undefined {
    return this.#stream
  }

  /** Reads all of it by `fetch`'s own method. */
  read<T>(native: () => Promise<T>, onStream: (response: Response) => Promise<T>): Promise<T> {
    const { clock, deadline, idle } = this.#limits
    if (this.#stream === undefined && !this.#isOver && idle < deadline - clock.now()) this.passOn()
    if (this.#stream !== undefined) return onStream(this.#stream)
    if (this.#cutWith !== undefined) return Promise.reject(this.#cutWith.reason)
    this.#begun = true
    this.#waits = true
    return new Promise((resolve, reject) => {
      this.#rejectRead = reject
      native().then(
        (value) => {
          this.#source.forget()
          this.#end()
          resolve(value)
        },
        (error) => {
          this.#source.forget()
          if (judge(error) === 'bug') this.#end()
          else this.#fail(error)
          reject(error)
        },
      )
    })
  }

  /** Passes the body on piece by piece, from now on. */
  passOn(): Response {
    if (this.#stream !== undefined) return this.#stream
    this.#begun = true
    this.#reader = this.#source.stream.getReader()
    const stream = new ReadableStream(
      {
        type: 'bytes',
        start: (controller) => {
          this.#output = controller
          if (this.#cutWith !== undefined) controller.error(this.#cutWith.reason)
        },
        pull: (controller) => this.#pull(controller),
        cancel: (reason) => this.#cancel(reason),
      },
      { highWaterMark: AHEAD },
    )
    this.#stream = this.#source.renew(stream)
    return this.#stream
  }

  /** Nobody will read it: what is small is drained, so that the connection can be used again. */
  async discard(length: number | undefined): Promise<void> {
    if (this.#isOver || this.#begun) return this.#letGo()
    this.#begun = true
    if (length !== undefined && length > AHEAD) return this.#letGo()
    const timer = this.#limits.clock.setTimer(() => this.#letGo(), DRAIN_TIME)
    try {
      const reader = this.#source.stream.getReader()
      this.#reader = reader
      for (let size = 0; size <= AHEAD && !this.#isOver; ) {
        const { done, value } = await reader.read()
        if (done) return this.#end()
        size += value.byteLength
      }
      this.#letGo()
    } catch {
      this.#end()
    } finally {
      timer.cancel()
    }
  }

  onAbort(reason: unknown): void {
    this.#cut(reason, new DOMException('the caller aborted while the body came', 'AbortError'))
  }

  #letGo(): void {
    if (this.#isOver) return
    this.#end()
    this.#release(new DOMException('nobody reads this answer', 'AbortError'))
  }

  /** Closes the connection. A `fetch` of somebody else's may not listen to its signal. */
  #release(reason: unknown): void {
    this.#source.abort(reason)
    quiet((this.#reader ?? this.#source.stream).cancel(reason))
  }

  /** @internal Whoever reads at once is done, or at it, by now. */
  watchOn(): void {
    if (this.#isOver) return
    // Somebody reads past the watch, by a method of the class itself: its end will not be seen.
    if (!this.#begun && this.#source.stream.locked) return this.#end()
    const { clock, deadline } = this.#limits
    if (deadline < Number.POSITIVE_INFINITY) {
      this.#timer = clock.setTimer(() => {
        inNextTurn(clock, () => this.#deadlineReached())
      }, deadline - clock.now())
    }
    if (!this.#begun) this.passOn()
  }

  #deadlineReached(): void {
    const { name, began, deadline } = this.#limits
    const duration = Math.round(deadline - began)
    this.#cutLate(stackless(() => new TimeoutError(`${name} (total)`, duration, NOT_COMPLETE)))
  }

  #idled(): void {
    const { name, idle } = this.#limits
    this.#cutLate(stackless(() => new TimeoutError(`${name} (idle)`, idle, NO_FURTHER)))
  }

  /** A server that keeps somebody waiting has failed; one that waits for a reader has not. */
  #cutLate(error: TimeoutError): void {
    this.#cut(error, this.#waits ? error : undefined)
  }

  async #pull(output: ReadableByteStreamController): Promise<void> {
    const reader = this.#reader as ReadableStreamDefaultReader<Uint8Array>
    const { clock, idle } = this.#limits
    this.#waits = true
    if (idle < Number.POSITIVE_INFINITY) {
      this.#idleTimer = clock.setTimer(() => inNextTurn(clock, () => this.#idled()), idle)
    }
    try {
      let piece = await reader.read()
      while (!piece.done && piece.value.byteLength === 0) piece = await reader.read()
      if (this.#isOver) return
      if (piece.done) {
        this.#end()
        output.close()
        output.byobRequest?.respond(0)
      } else output.enqueue(piece.value as Uint8Array<ArrayBuffer>)
    } catch (error) {
      if (this.#isOver) return
      this.#fail(error)
      output.error(error)
    } finally {
      this.#waits = false
      this.#idleTimer?.cancel()
    }
  }

  /** Its reader has seen enough. */
  #cancel(reason: unknown): Promise<void> | undefined {
    this.#end()
    return this.#reader?.cancel(reason)
  }

  #cut(reason: unknown, failure: unknown): void {
    if (this.#isOver) return
    this.#cutWith = { reason }
    if (failure === undefined) this.#end()
    else this.#fail(failure)
    this.#rejectRead?.(reason)
    this.#output?.error(reason)
    this.#release(reason)
  }

  #end(): void {
    this.#close()
    this.#ended.resolve()
  }

  #fail(error: unknown): void {
    this.#close()
    this.#ended.reject(error)
  }

  #close(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#idleTimer?.cancel()
    unlink(this)
  }
}

const NOT_COMPLETE = 'body not complete'
const NO_FURTHER = 'no further piece of the body'

function nothing(): void {}
