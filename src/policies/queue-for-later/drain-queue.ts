/**
 * Works off what was queued for later, through the pipeline that protects the dependency, and only as fast as
 * the dependency can take it.
 */
import type { Backoff } from '../../core/backoff.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import type {
  DeferredQueue,
  Job,
  JobBudget,
  JobWorker,
  RateLimit,
  StopReport,
} from '../../core/deferred-queue.ts'
import { isRejection } from '../../core/errors.ts'
import {
  boolean,
  type Check,
  type Checks,
  clock,
  count,
  duration,
  fn,
  optional,
  readOptions,
  withMethods,
} from '../../core/options.ts'
import { judge } from '../../core/outcome.ts'
import type { Context, Policy } from '../../core/policy.ts'
import { StepPolicy } from '../../core/step-policy.ts'
import { drainingArgs } from './draining.ts'
import { isQueued } from './queue-for-later.ts'
import { type Circuit, Ramp } from './ramp.ts'

/** Options of {@link drainQueue}. */
export interface DrainOptions<P> {
  /** The pipeline that the calls go through. Its circuit breakers are asked before a job is taken. */
  readonly through: Policy<unknown>
  /** Makes the call of a job. `context` is that of the pipeline: pass its signal on. */
  readonly run: (job: Job<P>, context: Context) => unknown
  /** Circuits to be asked as well as those of `through`. @default none */
  readonly breakers?: readonly Circuit[] | undefined
  /** Jobs under way at a time when the ramp is over, from 1 to 10,000. @default 4 */
  readonly maxConcurrent?: number | undefined
  /** From one job at a time to `maxConcurrent`, after the start and whenever a circuit has closed, in ms. @default 30_000 */
  readonly rampUp?: number | undefined
  /** Whether a job may be the trial call of a half-open circuit; otherwise others have to close it. @default true */
  readonly probe?: boolean | undefined
  /** Jobs that this process begins in a time, evenly: `{ limit: 50, interval: 1_000 }`. @default none */
  readonly rateLimit?: RateLimit | undefined
  /** Retries of jobs draw on it; without an allowance they wait. @default none */
  readonly budget?: JobBudget | undefined
  /** Attempts before a job is set aside as dead. @default 25 */
  readonly maxAttempts?: number | undefined
  /** Pause before the n-th retry of a job, in ms. @default exponential, 1 s to 15 min */
  readonly backoff?: Backoff | undefined
  /** Whether a failure is worth another attempt; otherwise the job is dead at once. @default all but bugs and answers like 404 */
  readonly shouldRetry?: ((error: unknown, job: Job<P>) => boolean) | undefined
  /** Whether a failure says "not now": the attempt does not count. @default rejections */
  readonly shouldPostpone?: ((error: unknown, job: Job<P>) => boolean) | undefined
  /** How long a job stays with a process that gives no sign of life, in ms from 100. @default 30_000 */
  readonly leaseTime?: number | undefined
  /** When it aborts, the drain stops as by `stop()`. @default none */
  readonly signal?: AbortSignal | undefined
  /** How long `stop()` waits for running jobs before they are handed back, in ms. @default 10_000 */
  readonly stopTimeout?: number | undefined
  /** Where time comes from. @default systemClock */
  readonly clock?: Clock | undefined
}

/** A queue being worked off. */
export interface QueueDrain extends JobWorker {
  /** Jobs that may be under way at a time now. */
  readonly limit: number
}

/** How long a job waits at least that found the circuit open behind it, in ms. */
const SHORTEST = 100

/**
 * Does the calls that `queueForLater` has queued, through a pipeline.
 *
 * While a circuit of the pipeline is open no job is taken, and the queue is not asked. Then one job at a time
 * is the trial, and when the circuit has closed the number rises to `maxConcurrent` within `rampUp`; a job
 * that fails halves it. A job that is refused, or that fails and leaves the circuit open, keeps its attempt: an
 * outage uses up nothing. Other failures count, are repeated by `backoff`, drawing on `budget`, and end in the
 * dead letters after `maxAttempts`, at once if another try cannot help (a bug, an answer like 404).
 *
 * A job is done when `run` has done it. An answer that came from a fallback or a cache is not that: the job is
 * repeated. Its deadline is the pipeline's; one that has passed is not begun.
 *
 * **Use it** once per process, with the pipeline of the live calls: so live calls and the backlog share one
 * breaker and one bulkhead.
 *
 * **Watch out:** jobs run at least once. What they do has to be safe to do again: pass `job.id` on as the
 * idempotency key.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { circuitBreaker, drainQueue, memoryQueue, pipeline } from 'holdfast'
 *
 * const queue = memoryQueue<{ order: string }>({ name: 'charges' })
 * const payment = pipeline('payment', circuitBreaker())
 * const charged: string[] = []
 * const drain = drainQueue(queue, {
 *   through: payment,
 *   run: async (job) => void charged.push(`${job.payload.order} by key ${job.id}`),
 * })
 * const completed = new Promise<void>((resolve) =>
 *   queue.subscribe((event) => event.type === 'job' && event.change === 'completed' && resolve()),
 * )
 * await queue.enqueue({ order: 'o-7' }, { id: 'charge-o-7' })
 * await completed
 * charged // => ['o-7 by key charge-o-7']
 * await drain.stop()
 * await queue.close()
 * ```
 */
export function drainQueue<P>(
  queue: Pick<DeferredQueue<P>, 'name' | 'process'>,
  options: DrainOptions<P>,
): QueueDrain {
  const target = readOptions('drainQueue', { queue }, { queue: withMethods('a queue', 'process') })
  return new Drain(target.queue, readOptions<DrainOptions<P>>('drainQueue', options, checks))
}

/** What the worker checks itself, and names as its own. */
const passed: Check = { expected: '', fault: () => undefined, isOptional: true }

const checks: Checks<DrainOptions<never>> = {
  through: withMethods('a pipeline or policy', 'executeDetailed'),
  run: fn,
  breakers: optional({
    expected: 'a list of circuit breakers',
    fault: (value) => (Array.isArray(value) && value.every(isCircuit) ? undefined : 'type'),
  }),
  maxConcurrent: optional(count(1, 10_000)),
  rampUp: optional(duration()),
  probe: optional(boolean),
  clock: optional(clock),
  shouldRetry: optional(fn),
  shouldPostpone: optional(fn),
  rateLimit: passed,
  leaseTime: passed,
  maxAttempts: passed,
  backoff: passed,
  budget: passed,
  signal: passed,
  stopTimeout: passed,
}

/** The dependency cannot take the job now. The attempt does not count. */
class NotNow extends Error {
  readonly retryAfter: number

  constructor(retryAfter: number, cause: unknown) {
    super('not now', { cause })
    this.retryAfter = retryAfter
  }
}

class Drain<P> implements QueueDrain {
  readonly #options: DrainOptions<P>
  readonly #name: string
  readonly #ramp: Ramp
  readonly #worker: JobWorker

  constructor(queue: Pick<DeferredQueue<P>, 'name' | 'process'>, options: DrainOptions<P>) {
    const { through, run: _run, breakers = [], maxConcurrent = 4, rampUp = 30_000 } = options
    const { probe = true, clock: time = systemClock, shouldRetry, shouldPostpone } = options
    const { through: _t, breakers: _b, rampUp: _r, probe: _p, clock: _c, ...rest } = options
    const { run: _f, ...pace } = rest
    this.#options = options
    this.#name = queue.name
    const circuits = [...circuitsOf(through), ...breakers]
    this.#ramp = new Ramp(time, circuits, { max: maxConcurrent, duration: rampUp, probes: probe })
    this.#worker = queue.process(this.#run, {
      ...pace,
      maxConcurrent: () => this.#ramp.limit,
      ready: () => this.#ramp.ready(),
      shouldRetry: shouldRetry ?? isWorthAnotherTry,
      shouldPostpone: (error, job) =>
        error instanceof NotNow || (shouldPostpone ?? isRejection)(error, job),
    })
  }

  get limit(): number {
    return this.#ramp.limit
  }

  get running(): number {
    return this.#worker.running
  }

  pause(): void {
    this.#worker.pause()
  }

  resume(): void {
    this.#worker.resume()
  }

  stop(options?: { readonly timeout?: number | undefined }): Promise<StopReport> {
    return this.#worker.stop(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  readonly #run = async (job: Job<P>): Promise<void> => {
    try {
      await this.#call(job)
    } catch (error) {
      throw this.#judged(error)
    }
  }

  async #call(job: Job<P>): Promise<void> {
    const { through, run } = this.#options
    const { signal, deadline, payload } = job
    const call = { signal, deadline, args: drainingArgs(payload) }
    const answer = await through.executeDetailed((context) => run(job, context), call)
    const { value, source, degraded, attempts, errors } = answer
    if (degraded || attempts === 0) {
      const why = `job "${job.id}" of queue "${this.#name}" was answered by "${source}" and not done`
      throw errors.at(-1) ?? new Error(why)
    }
    if (isQueued(value) && value.queue === this.#name && value.id === job.id) {
      throw new Error(
        `job "${job.id}" of queue "${this.#name}" was queued again instead of being done: run must make the call itself, not call the function that queues it`,
      )
    }
  }

  /** What the failure says to the worker: count the attempt, or wait until the dependency can take it. */
  #judged(error: unknown): unknown {
    if (judge(error) !== 'transient') return error
    this.#ramp.slowDown()
    const blockedFor = this.#ramp.blockedFor()
    return blockedFor === undefined ? error : new NotNow(Math.max(blockedFor, SHORTEST), error)
  }
}

function isWorthAnotherTry(error: unknown): boolean {
  const verdict = judge(error)
  return verdict !== 'bug' && verdict !== 'permanent'
}

function circuitsOf(through: Policy<unknown>): readonly Circuit[] {
  if (!(through instanceof StepPolicy)) return []
  const steps: readonly unknown[] = through.steps.filter((step) => step.traits.judges === true)
  return steps.filter(isCircuit)
}

function isCircuit(value: unknown): value is Circuit {
  if (typeof value !== 'object' || value === null) return false
  const { state, stats } = value as { state?: unknown; stats?: unknown }
  return typeof state === 'string' && typeof stats === 'function'
}
