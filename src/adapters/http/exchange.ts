/**
 * One attempt: a request and its answer, head and body, and the levels that hold it.
 *
 * The slot is held, and the circuit judges, until the body has ended; the limit of an attempt ends with
 * the head. Nothing in here makes a signal but the one that the client is handed: they are the dearest
 * part of a call.
 */
import { quiet } from '../../core/events.ts'
import type { Context, ExecuteOptions, PolicyLike } from '../../core/policy.ts'
import { RelayPolicy } from '../../core/relay.ts'
import { stackless } from '../../core/stackless.ts'
import type { Step } from '../../core/step.ts'
import { StepPolicy } from '../../core/step-policy.ts'
import { PipelinePolicy } from '../../pipeline/pipeline.ts'
import { Aborter } from './aborter.ts'
import type { Compartment, Route } from './compartment.ts'
import type { Described } from './options.ts'
import { type HeaderOf, waitOf } from './retry-after.ts'
import { HttpStatusError } from './status-error.ts'
import { isTransientStatus } from './verdict.ts'

/** An answer whose head is here. */
export interface Answer<T> {
  readonly value: T
  readonly status: number
  readonly header: HeaderOf
  /** Settles when the body has ended, rejects if it broke off. Never unhandled. */
  readonly ended: Promise<unknown>
  /** Lets the connection go: nobody will read the body. */
  discard(): unknown
}

/** What a door has to know and do for one request. */
export interface Order<T> {
  readonly facts: Described
  /** Makes one attempt, in the compartment of that name. It must end soon after `aborter` is aborted. */
  send(attempt: Attempted, compartment: string): Promise<Answer<T>>
  /** Whether it may take effect twice: an idempotent method, an idempotency key, the caller's word. */
  readonly repeatable: boolean
  /** Its place in line, and when it must be over. */
  readonly call?: Pick<ExecuteOptions, 'priority' | 'deadline'> | undefined
  /** Whether its body is still there to be sent once more. */
  replayable(): boolean
}

/** One attempt. */
export interface Attempted {
  /** Aborted when nobody waits for it any more; whoever watches the body may abort it too. */
  readonly aborter: Aborter
  /** How often the request was sent, this time included. */
  readonly attempt: number
  /** How many attempts there may be. */
  readonly maxAttempts: number
  /** When this attempt must have an answer, in ms of the clock. */
  due(): number
  /** When the whole request must be over, body included, in ms of the clock; to be read with the head. */
  deadline(): number
}

/** Failed answers whose body is still there, by the error that stands for them. */
export const answers: WeakMap<object, Answer<unknown>> = new WeakMap()

export class Exchange<T> {
  answer: Answer<T> | undefined
  /** Everything is let go: slot, circuit, body. */
  finished: Promise<void> = done
  readonly #compartment: Compartment
  readonly #route: Route
  readonly #order: Order<T>
  readonly #context: Pick<Context, 'deadline'>
  readonly #aborter = new Aborter()
  #sent: Promise<Answer<T>> | undefined

  constructor(
    compartment: Compartment,
    route: Route,
    order: Order<T>,
    context: Pick<Context, 'deadline'>,
  ) {
    this.#compartment = compartment
    this.#route = route
    this.#order = order
    this.#context = context
  }

  /** Sends the request; the head of its answer, unless that is one to try again. */
  head(count: () => number): Promise<Answer<T>> {
    return new Promise((resolve, reject) => {
      const { bulkhead, circuitBreaker } = this.#compartment
      let isGiven = false
      const give = (answer: Answer<T>): void => {
        isGiven = true
        resolve(answer)
      }
      const judge = (): Promise<void> => this.#judge(count(), give)
      const fail = (error: unknown): void => {
        // What goes on after the head has limits of its own. A failed answer is kept: it may be the caller's.
        if (!isGiven && !isAnswered(error)) this.abandon(error)
        reject(error === ABANDONED ? this.#aborter.reason : error)
      }
      const hold = async (): Promise<void> => {
        try {
          await this.#under(circuitBreaker, judge)
        } catch (error) {
          // Not before the circuit has judged: it would take its trial call for one that was called off.
          fail(error)
          // The slot is held for work that takes no notice of its signal, and for every body.
          await this.#sent?.then(endOf).catch(nothing)
        }
      }
      this.finished = this.#under(bulkhead, hold).catch(fail)
    })
  }

  /** Nobody waits any more. */
  abandon(reason: unknown): void {
    this.#aborter.abort(reason)
    // Its answer may come all the same, or has come just now.
    this.#sent?.then(drop, nothing)
  }

  /** What the circuit judges: a failed answer by its head, a good one by its body too. */
  async #judge(attempt: number, give: (answer: Answer<T>) => void): Promise<void> {
    const aborter = this.#aborter
    let head: Answer<T>
    try {
      head = await this.#under(this.#route.attempt, () => this.#send(attempt))
    } catch (error) {
      // The circuit is told that somebody went away, whatever reason they gave.
      if (aborter.aborted) throw ABANDONED
      throw error
    }
    if (aborter.aborted) throw ABANDONED
    const { status, header } = head
    if (!isTransientStatus(status)) {
      give(head)
      await head.ended
      return
    }
    const { name, clock } = this.#compartment
    const wait = waitOf(status, header, () => clock.wallTime())
    const error = stackless(
      () => new HttpStatusError(name, status, labelOf(this.#order.facts), wait),
    )
    this.answer = head
    answers.set(error, head)
    throw error
  }

  #send(attempt: number): Promise<Answer<T>> {
    const { attemptLimit, mostAttempts } = this.#route
    const { clock, name } = this.#compartment
    const deadline = (): number => this.#context.deadline
    const attempted = {
      aborter: this.#aborter,
      attempt,
      maxAttempts: this.#order.repeatable ? mostAttempts : 1,
      due: () => Math.min(deadline(), clock.now() + attemptLimit),
      deadline,
    }
    this.#sent = this.#order.send(attempted, name)
    return this.#sent
  }

  /** Runs under one level, or as it is where a level is left out. */
  #under<R>(policy: PolicyLike | undefined, operation: () => Promise<R>): Promise<R> {
    if (policy === undefined) return operation()
    if (isPlain(policy)) return policy.execute(operation)
    const { signal } = this.#aborter.controller
    const priority = this.#order.call?.priority
    return policy.execute(operation, { signal, deadline: this.#context.deadline, priority })
  }
}

export function isAnswered(error: unknown): error is object {
  return typeof error === 'object' && error !== null && answers.has(error)
}

export function drop(answer: Answer<unknown>): void {
  quiet(answer.discard())
}

/** A call passes it at once, or is refused at once: it needs no signal to be called off. */
function isPlain(policy: PolicyLike): boolean {
  if (!(policy instanceof StepPolicy) || policy instanceof PipelinePolicy) return false
  if (policy instanceof RelayPolicy || (policy as Step).react !== undefined) return false
  return policy.gate.running < policy.gate.limit
}

/** Method and address, as messages show them; no query, no credentials. */
function labelOf({ method, url }: Described): string {
  return `${method} ${url.origin}${url.pathname}`
}

function endOf({ ended }: Answer<unknown>): Promise<unknown> {
  return ended
}

const done = Promise.resolve()
const ABANDONED = new DOMException('nobody waits for this answer any more', 'AbortError')

function nothing(): void {}
