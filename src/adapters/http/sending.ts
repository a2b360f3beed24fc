/**
 * One request, however often it has to be sent: who may send it again, which levels hold it for how
 * long, and what becomes of answers that nobody gets.
 *
 * The total limit and the retry end when the answer that the caller gets has begun. The slot is held,
 * and the circuit judges, until its body has ended.
 */
import { isRejection } from '../../core/errors.ts'
import { quiet } from '../../core/events.ts'
import type { Context } from '../../core/policy.ts'
import type { Compartment, Route } from './compartment.ts'
import { type Answer, answers, Exchange, isAnswered, type Order } from './exchange.ts'
import { HttpStatusError } from './status-error.ts'
import { isCertificateFailure, isConnectFailure } from './verdict.ts'

/** Failures that must not be tried again, whatever a retry thinks of them. */
const finals = new WeakSet<object>()

/** What a retry is told of failures, whichever request they belong to. */
export function shouldRetry(error: unknown): boolean | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  return finals.has(error) || isCertificateFailure(error) ? false : undefined
}

/** Another try follows: the failed answer's connection is let go before the pause. */
export function discardAnswer(error: unknown): void {
  const answer = typeof error === 'object' && error !== null ? answers.get(error) : undefined
  if (answer === undefined) return
  answers.delete(error as object)
  quiet(answer.discard())
}

/**
 * Sends a request through the levels of its compartment.
 *
 * @returns The first answer that is worth no further try, or the last one, however bad.
 */
export async function sendThrough<T>(
  compartment: Compartment,
  route: Route,
  order: Order<T>,
): Promise<T> {
  const sending = new Sending(compartment, route, order)
  const { call, facts } = order
  const { signal } = facts
  // A call that brings nothing along takes the short way.
  const options = signal === undefined && call === undefined ? undefined : { ...call, signal }
  const began = compartment.begin()
  try {
    const answer = await route.outer.execute((context) => sending.attempt(context), options)
    sending.settle()
    compartment.ended(began, sending.attempts, undefined, signal)
    return answer.value
  } catch (error) {
    compartment.ended(began, sending.attempts, { error }, signal)
    return sending.conclude(error)
  }
}

class Sending<T> {
  attempts = 0
  readonly #compartment: Compartment
  readonly #route: Route
  readonly #order: Order<T>
  #over: { readonly error: unknown } | undefined
  #failure: Failure<T> | undefined
  #isFinal = false
  #last: Exchange<T> | undefined
  /** The attempts under way, if the policy in place of the retry may make several at a time. */
  readonly #running: Running<T>[] = []

  constructor(compartment: Compartment, route: Route, order: Order<T>) {
    this.#compartment = compartment
    this.#route = route
    this.#order = order
  }

  /** The head of an answer, or the failure of one attempt. */
  async attempt(context: Context): Promise<Answer<T>> {
    // A policy of somebody else's in place of the retry may not know what must not be sent twice.
    if (this.#isFinal) throw this.#failure?.error
    const [other] = this.#running
    if (other !== undefined && !this.#mayRepeat) return other.head
    if (this.#failure?.answer !== undefined) {
      const { error, exchange } = this.#failure
      this.#failure = { error, exchange }
      discardAnswer(error)
      // Its connection and its slot are this attempt's own, if there is but one.
      await exchange.finished
      if (this.#over !== undefined) throw this.#over.error
    }
    const exchange = new Exchange(this.#compartment, this.#route, this.#order, context)
    this.#last = exchange
    const head = exchange.head(() => ++this.attempts)
    if (this.#route.isOwn) this.#follow({ exchange, head }, context.signal)
    try {
      return await head
    } catch (error) {
      throw this.#failed(error, exchange)
    }
  }

  /** The caller has a good answer: nobody waits for another one. */
  settle(): void {
    this.#letGo(FASTER)
    discardAnswer(this.#failure?.error)
  }

  /** What the caller gets when no attempt was good: the last answer as it came, or the error. */
  conclude(error: unknown): T {
    this.#over = { error }
    const failure = this.#failure
    this.#letGo(error)
    if (failure?.answer !== undefined) {
      // Of several bad answers the policy may name one that was let go already.
      const isIts = failure.error === error || error instanceof HttpStatusError
      if (isIts && answers.delete(failure.error as object)) return failure.answer.value
      failure.exchange.abandon(error)
    }
    this.#last?.abandon(error)
    throw error
  }

  get #mayRepeat(): boolean {
    const { repeatable } = this.#order
    return repeatable && this.#order.replayable()
  }

  /** The policy may give up on one attempt while it waits for another. */
  #follow(running: Running<T>, signal: AbortSignal): void {
    const { exchange, head } = running
    this.#running.push(running)
    const leave = (): void => exchange.abandon(signal.reason)
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
    const ended = (): void => {
      this.#running.splice(this.#running.indexOf(running), 1)
    }
    head.then(ended, ended)
    quiet(exchange.finished.finally(() => signal.removeEventListener('abort', leave)))
  }

  #letGo(reason: unknown): void {
    for (const { exchange } of this.#running) exchange.abandon(reason)
  }

  /** Notes how an attempt failed, and whether it was the last that may be made. */
  #failed(error: unknown, exchange: Exchange<T>): unknown {
    const { answer } = exchange
    // Of two attempts at the same time the caller gets the first failure.
    const isFirst = this.#failure?.answer === undefined
    if (isFirst) {
      this.#failure =
        answer !== undefined && isAnswered(error)
          ? { error, exchange, answer }
          : { error, exchange }
    } else discardAnswer(error)
    const unsent = isRejection(error) || isConnectFailure(error)
    const { repeatable } = this.#order
    this.#isFinal = !((repeatable || unsent) && this.#order.replayable())
    if (typeof error !== 'object' || error === null) return error
    // The same object may be thrown for many requests.
    if (this.#isFinal) finals.add(error)
    else finals.delete(error)
    return error
  }
}

interface Running<T> {
  readonly exchange: Exchange<T>
  readonly head: Promise<Answer<T>>
}

interface Failure<T> {
  readonly error: unknown
  readonly exchange: Exchange<T>
  readonly answer?: Answer<T>
}

const FASTER = new DOMException('another attempt was faster', 'AbortError')
