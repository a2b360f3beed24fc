/**
 * One task on one thread: its time runs from here, and whoever stops waiting takes the thread down with it,
 * since there is no other way to stop what runs in it. The thread is free, or gone, when this ends.
 */
import { inNextTurn, type Timer } from '../../core/clock.ts'
import type { Lease } from '../../resources/pool/contract.ts'
import { notCloneable, ThreadEndedError, type ThreadEnding, taskTimeout } from './errors.ts'
import type { Job, Settings } from './settings.ts'
import { NotSent, type Thread, type ThreadEnd, ThreadGone } from './thread.ts'

/** Settles as the task does; `early` is told of a timeout at once, before the thread has gone. */
export async function performOn(
  lease: Lease<Thread>,
  job: Job,
  settings: Settings,
  signal: AbortSignal | undefined,
  early: (error: unknown) => void,
): Promise<unknown> {
  const { clock, name: pool, abortGrace } = settings
  const { name: task, timeout } = job
  const thread = lease.resource
  const began = clock.now()
  let over = false
  let late: Error | undefined
  let grace: Timer | undefined
  const stop = (): void => {
    if (abortGrace === 0) void thread.end()
    else {
      thread.tellToStop()
      grace ??= clock.setTimer(() => void thread.end(), abortGrace)
    }
  }
  const expire = (): void => {
    if (over || signal?.aborted) return
    late = taskTimeout(pool, task, timeout)
    early(late)
    stop()
  }
  // When the event loop was blocked past the limit, an answer that is already there wins.
  const limit = clock.setTimer(() => inNextTurn(clock, expire), timeout)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    if (signal?.aborted) throw signal.reason
    const value = await thread.run(task, job.task, job.transfer)
    if (late !== undefined) throw late
    return value
  } catch (error) {
    if (late !== undefined) throw late
    if (signal?.aborted) throw signal.reason
    if (error instanceof NotSent) throw notCloneable(pool, task, error.cause)
    if (!(error instanceof ThreadGone)) throw error
    throw ended(settings, task, error.end, clock.now() - began)
  } finally {
    over = true
    limit.cancel()
    grace?.cancel()
    signal?.removeEventListener('abort', stop)
    // One that crashed is known to be broken: it says why itself.
    if (thread.alive || !thread.ordered) lease.release()
    else lease.destroy()
  }
}

function ended(settings: Settings, task: string, end: ThreadEnd, ran: number): ThreadEndedError {
  const { name, memoryLimitMb } = settings
  const { fault, exitCode, ordered } = end
  const facts = { task, reason: reasonOf(fault, ordered), exitCode, ran, memoryLimitMb }
  return new ThreadEndedError(name, facts, fault)
}

function reasonOf(fault: unknown, ordered: boolean): ThreadEnding {
  if (ordered) return 'closed'
  if (fault === undefined) return 'exit'
  const { code } = Object(fault) as { code?: unknown }
  return code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out-of-memory' : 'error'
}
