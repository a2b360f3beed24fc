/** What can go wrong with a thread, as opposed to the task that it runs. */
import { describeError, RejectedError, ResilienceError, TimeoutError } from '../../core/errors.ts'
import { stackless } from '../../core/stackless.ts'

/** No thread could be made ready: its module did not load, or not in time. The task was NOT run. */
export class ThreadStartError extends RejectedError {
  override readonly name = 'ThreadStartError'
  readonly code = 'ERR_THREAD_START'
  /** Name of the function that the task was for; empty when it was `warmUp` that wanted a thread. */
  readonly task: string

  constructor(pool: string, task: string, why: string, cause: unknown) {
    const wanted = task === '' ? '' : ` for task "${task}"`
    super(
      pool,
      `thread pool "${pool}": no thread could be started${wanted}: ${why}; not run; the next start is tried after a pause`,
      cause,
    )
    this.task = task
  }
}

/** Why a thread came to its end under a task. */
export type ThreadEnding = 'exit' | 'out-of-memory' | 'error' | 'closed'

/** The facts of a thread's end. */
export interface ThreadEndFacts {
  readonly task: string
  readonly reason: ThreadEnding
  readonly exitCode: number | undefined
  /** How long the task had run, in ms. */
  readonly ran: number
  readonly memoryLimitMb: number | undefined
}

/** The thread ended while it ran the task, which may have taken effect in part. The others are unharmed. */
export class ThreadEndedError extends ResilienceError {
  override readonly name = 'ThreadEndedError'
  readonly code = 'ERR_THREAD_ENDED'
  /** Name of the function that ran. */
  readonly task: string
  /** `'exit'`: the process.exit of the thread; `'error'`: an uncaught one; `'closed'`: by `close()`. */
  readonly reason: ThreadEnding
  /** The exit code of the thread, once it is known. */
  readonly exitCode: number | undefined
  /** How long the task had run, in ms. */
  readonly ran: number

  constructor(pool: string, facts: ThreadEndFacts, cause: unknown) {
    const { task, reason, exitCode, ran } = facts
    super(
      pool,
      `thread pool "${pool}": the thread of task "${task}" ${how(facts, cause)}, after ${Math.round(ran)} ms; the task may have taken effect in part; ${NEXT[reason]}`,
      cause,
    )
    this.task = task
    this.reason = reason
    this.exitCode = exitCode
    this.ran = ran
  }
}

function how({ reason, exitCode, memoryLimitMb }: ThreadEndFacts, cause: unknown): string {
  if (reason === 'exit') return `ended itself with exit code ${exitCode}`
  if (reason === 'closed') return 'was ended by close()'
  if (reason === 'error') return `died of an uncaught ${describeError(cause)}`
  const limit =
    memoryLimitMb === undefined ? 'its memory limit' : `memoryLimitMb (${memoryLimitMb})`
  return `ran out of memory at ${limit}`
}

const NEXT: Readonly<Record<ThreadEnding, string>> = {
  exit: 'the thread is replaced; return or throw instead of process.exit()',
  error: 'the thread is replaced; await every promise and listen to every emitter in the module',
  'out-of-memory': 'the thread is replaced; raise memoryLimitMb or give it smaller tasks',
  closed: 'give close() a longer timeout, or drain() first',
}

/** The task ran longer than its limit. Not the usual message: here the work really ends. */
export function taskTimeout(pool: string, task: string, duration: number): TimeoutError {
  const error = stackless(() => new TimeoutError(pool, duration))
  error.message = `thread pool "${pool}": task "${task}" had no answer after ${duration} ms of running; its thread is ended and replaced; the task may have taken effect in part; raise timeout or split the task`
  return error
}

/** A task that cannot be cloned, as a bug of whoever gave it. */
export function notCloneable(pool: string, task: string, cause: unknown): TypeError {
  return new TypeError(
    `thread pool "${pool}": the argument of task "${task}" cannot be sent to a thread; not run; send plain data, without functions or handles`,
    { cause },
  )
}
