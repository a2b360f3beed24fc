/**
 * A place in line: what the caller asked for, or what the policy's own option says.
 */
import { quiet } from './events.ts'
import { anyOf, type Check, count, fn } from './options.ts'
import { highestPriority, lowestPriority } from './queue.ts'
import type { CallView } from './step.ts'

/** A number, or a function of the arguments of a wrapped function. */
export type PriorityOption = number | ((args: readonly unknown[]) => number)

export const priorityCheck: Check = anyOf(count(lowestPriority, highestPriority), fn)

/** A place in line must be a number whatever a user's function does. */
export function priorityOf(call: CallView, option: PriorityOption): number {
  let priority: unknown = call.priority ?? option
  try {
    if (typeof priority === 'function') priority = quiet(priority(call.args))
  } catch {
    priority = 0
  }
  if (typeof priority !== 'number' || Number.isNaN(priority)) return 0
  return Math.max(lowestPriority, Math.min(highestPriority, Math.round(priority)))
}
