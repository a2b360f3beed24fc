/**
 * Marks the calls that work off a queue. The pipeline they go through may have a `queueForLater` of its own,
 * which would answer the job with a receipt for itself: done, as it seems, and lost.
 */
import type { Context } from '../../core/policy.ts'

const marked = new WeakSet<readonly unknown[]>()

/** Arguments of a call that belongs to a job. */
export function drainingArgs(payload: unknown): readonly unknown[] {
  const args: readonly unknown[] = Array.isArray(payload) ? [...payload] : [payload]
  marked.add(args)
  return args
}

export function isDraining({ args }: Pick<Context, 'args'>): boolean {
  return marked.has(args)
}
