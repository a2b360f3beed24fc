/**
 * What one outcome says of the dependency: success, failure, or nothing at all.
 * Only the dependency's own behaviour moves its breaker.
 */
import { quiet } from '../../core/events.ts'
import { judge, type Outcome } from '../../core/outcome.ts'
import type { CircuitBreakerOptions, Classification } from './options.ts'

export type BreakerVerdict = 'success' | 'failure' | 'ignored'

/**
 * Failures are errors of the dependency and our own timeouts. An answer like 404 is a success: it is
 * alive. The caller's abort, refusals by inner policies and our own bugs say nothing.
 */
export function classify(outcome: Outcome, options: CircuitBreakerOptions): BreakerVerdict {
  switch (outcome.ending) {
    case 'succeeded':
      return chosen(options.isFailureResult, outcome.value) ?? 'success'
    case 'timedOut':
      return chosen(options.isFailure, outcome.error) ?? 'failure'
    case 'failed':
      return chosen(options.isFailure, outcome.error) ?? byDefault(outcome.error)
    default:
      return 'ignored'
  }
}

function byDefault(error: unknown): BreakerVerdict {
  const verdict = judge(error)
  if (verdict === 'transient') return 'failure'
  return verdict === 'permanent' ? 'success' : 'ignored'
}

/** A classifier that throws has no opinion: the default holds. */
function chosen<T>(
  classifier: ((value: T) => Classification) | undefined,
  value: T,
): BreakerVerdict | undefined {
  if (classifier === undefined) return undefined
  try {
    const choice = quiet(classifier(value))
    if (choice === 'ignore') return 'ignored'
    if (typeof choice === 'boolean') return choice ? 'failure' : 'success'
  } catch {
    // Falls through to the default.
  }
  return undefined
}
