/**
 * One exchange of undici's, as an answer: its head is held until somebody decides whose it is, its body
 * is passed on or dropped.
 */
import { type Clock, inNextTurn, type Timer } from '../../core/clock.ts'
import { type Deferred, deferred } from '../../core/deferred.ts'
import { TimeoutError } from '../../core/errors.ts'
import { stackless } from '../../core/stackless.ts'
import type { Aborter } from '../http/aborter.ts'
import type { Answer } from '../http/exchange.ts'
import { type Later, lookLater } from '../http/look-later.ts'
import type { Caller } from './caller.ts'
import type { DispatchController, DispatchHandler, Headers } from './handler.ts'

/** So much of a body that nobody wants is read, so that its connection can be used again. */
const DRAIN = 65_536
/** How long that may take, in ms. */
const DRAIN_TIME = 1_000

/** What ends a body early. */
interface Limits {
  readonly name: string
  readonly clock: Clock
  /** When the request was made, and when it must be over, in ms of the clock. */
  readonly began: number
  deadline(): number
}

interface Head {
  readonly status: number
  readonly headers: Headers
  readonly message: string | undefined
}

export class Attempt implements DispatchHandler, Later {
  readonly #caller: Caller
  readonly #aborter: Aborter
  readonly #limits: Limits
  readonly #head: Deferred<Answer<Attempt>> = deferred()
  readonly #ended: Deferred<void> = deferred()
  #state: 'sent' | 'held' | 'passed-on' | 'dropped' = 'sent'
  #isOver = false
  #deadline = Number.POSITIVE_INFINITY
  #controller: DispatchController | undefined
  #answer: Head | undefined
  #dropped = 0
  #timer: Timer | undefined
  /** What came although it was not yet asked for. */
  #early: (() => void)[] = []

  constructor(caller: Caller, aborter: Aborter, limits: Limits) {
    this.#caller = caller
    this.#aborter = aborter
    this.#limits = limits
    this.#ended.promise.catch(nothing)
    aborter.tell((reason) => this.#controller?.abort(reason as Error))
  }

  /** Dispatches; the head of the answer, or the failure. */
  send(dispatch: () => unknown): Promise<Answer<Attempt>> {
    try {
      dispatch()
    } catch (error) {
      this.#head.reject(error)
    }
    return this.#head.promise
  }

  /** The answer is the user's: from now on what comes is passed on. */
  passOn(): void {
    const { status, headers, message } = this.#answer as Head
    const controller = this.#controller as DispatchController
    this.#state = 'passed-on'
    lookLater(this.#limits.clock, this)
    this.#caller.start(controller, status, headers, message)
    for (const event of this.#early) event()
    this.#early = []
    if (!this.#caller.paused) controller.resume()
  }

  /** @internal What came with the head is over by now. */
  watchOn(): void {
    if (this.#isOver) return
    const { clock } = this.#limits
    const left = this.#deadline - clock.now()
    this.#timer = clock.setTimer(() => inNextTurn(clock, () => this.#late()), left)
  }

  onRequestStart(controller: DispatchController): void {
    this.#controller = controller
    const { aborted, reason } = this.#aborter
    if (aborted) controller.abort(reason as Error)
  }

  onResponseStart(
    controller: DispatchController,
    status: number,
    headers: Headers,
    message?: string,
  ): void {
    if (status < 200) return this.#caller.preliminary(status, headers, message)
    controller.pause()
    this.#answer = { status, headers, message }
    this.#deadline = this.#limits.deadline()
    this.#state = 'held'
    this.#head.resolve({
      value: this,
      status,
      header: (name) => String(headers[name] ?? '') || undefined,
      ended: this.#ended.promise,
      discard: () => this.#drop(),
    })
  }

  onResponseData(controller: DispatchController, chunk: Uint8Array): void {
    if (this.#state === 'held') this.#early.push(() => this.#caller.data(chunk))
    else if (this.#state === 'passed-on') this.#caller.data(chunk)
    else {
      this.#dropped += chunk.byteLength
      if (this.#dropped > DRAIN) controller.abort(UNWANTED)
    }
  }

  onResponseEnd(_controller: DispatchController, trailers: Headers): void {
    if (this.#state === 'held') this.#early.push(() => this.#caller.end(trailers))
    else if (this.#state === 'passed-on') this.#caller.end(trailers)
    this.#close()
    this.#ended.resolve()
  }

  onResponseError(_controller: DispatchController, error: Error): void {
    this.#head.reject(error)
    if (this.#state === 'held') this.#early.push(() => this.#caller.fail(error))
    else if (this.#state === 'passed-on') this.#caller.fail(error)
    const wanted = this.#state === 'passed-on' && !this.#caller.aborted
    this.#close()
    if (wanted) this.#ended.reject(error)
    else this.#ended.resolve()
  }

  #drop(): void {
    if (this.#state !== 'held') return
    this.#state = 'dropped'
    const { clock } = this.#limits
    this.#timer = clock.setTimer(() => this.#controller?.abort(UNWANTED), DRAIN_TIME)
    this.#controller?.resume()
  }

  #late(): void {
    if (this.#isOver) return
    const { name, began } = this.#limits
    const limit = Math.round(this.#deadline - began)
    const error = stackless(() => new TimeoutError(`${name} (total)`, limit, 'body not complete'))
    this.#controller?.abort(error)
  }

  #close(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#aborter.tell(undefined)
  }
}

const UNWANTED = new Error('nobody reads this answer')

function nothing(): void {}
