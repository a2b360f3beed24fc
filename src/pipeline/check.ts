/**
 * What in the order of a pipeline cannot work, or was probably not meant.
 * Works on traits alone: it knows what policies do to a call, not which policies there are.
 */
import type { RelayTraits } from '../core/relay.ts'
import type { Step } from '../core/step.ts'
import { timeOf } from './worst-case.ts'

/** One thing that is probably wrong. `code` is stable. */
export interface Finding {
  readonly code: FindingCode
  /** What happens, why, and what to do. */
  readonly message: string
  /** Names of the policies concerned, outermost first. */
  readonly policies: readonly string[]
}

/** What can be wrong with an order; each is explained in docs/composition.md. */
export type FindingCode =
  | 'fallback-inside-retry'
  | 'fallback-inside-breaker'
  | 'retry-inside-breaker'
  | 'bulkhead-outside-retry'
  | 'timeout-shorter-than-attempt'
  | 'timeout-shorter-than-retries'
  | 'inner-timeout-longer'
  | 'no-timeout'
  | 'same-instance-twice'
  | 'cache-inside-retry'
  | 'shared-inside-breaker'
  | 'bulkhead-outside-shared'
  | 'fallback-inside-cache'
  | 'hedge-outside-retry'
  | 'bulkhead-outside-hedge'
  | 'rate-limit-outside-retry'

/** Everything that looks wrong in `steps`, outermost first. */
export function findingsIn(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = []
  const report: Reporter = (code, message, ...of) => {
    findings.push({ code, message, policies: of.map((step) => step.name) })
  }
  steps.forEach((outer, index) => {
    const inside = steps.slice(index + 1)
    for (const inner of inside) checkPair(outer, inner, report)
    checkTimeout(outer, inside, report)
  })
  if (!steps.some(({ traits }) => finite(traits.limits))) {
    report(
      'no-timeout',
      'nothing limits how long a call may take: a dependency that hangs holds its callers, and no circuit notices; add timeout(ms) as the innermost policy',
    )
  }
  return findings
}

type Reporter = (code: FindingCode, message: string, ...of: readonly Step[]) => void

/** A policy with the trait `inner` does not belong inside one with the trait `outer`. */
interface PairRule {
  readonly code: FindingCode
  readonly outer: keyof RelayTraits
  readonly inner: keyof RelayTraits
  /** What happens, and what to do. */
  readonly because: string
}

const pairRules: readonly PairRule[] = [
  {
    code: 'fallback-inside-retry',
    outer: 'repeats',
    inner: 'recovers',
    because:
      'the fallback turns every failure into an answer, so nothing is ever retried; put the fallback outside',
  },
  {
    code: 'fallback-inside-breaker',
    outer: 'judges',
    inner: 'recovers',
    because: 'the breaker sees only answers, so it never opens; put the fallback outside',
  },
  {
    code: 'retry-inside-breaker',
    outer: 'judges',
    inner: 'repeats',
    because:
      'a whole retry loop counts as one outcome, so the circuit opens late; put the retry outside',
  },
  {
    code: 'bulkhead-outside-retry',
    outer: 'holds',
    inner: 'repeats',
    because: 'the slot is held while backoff sleeps; put the bulkhead inside',
  },
  {
    code: 'cache-inside-retry',
    outer: 'repeats',
    inner: 'keeps',
    because:
      'a stale value counts as an answer, so a failed call is not retried, and a refresh in the background never is; put the cache outside',
  },
  {
    code: 'shared-inside-breaker',
    outer: 'judges',
    inner: 'shares',
    because:
      'one failed call counts once for each caller that waited for it, and kept values count as successes; put the breaker inside',
  },
  {
    code: 'bulkhead-outside-shared',
    outer: 'holds',
    inner: 'shares',
    because:
      'every caller that waits for the same call holds a slot, and a refresh in the background holds none; put the bulkhead inside',
  },
  {
    code: 'fallback-inside-cache',
    outer: 'keeps',
    inner: 'recovers',
    because:
      'the fallback answers before the last good value is asked for, and its answer is not kept; put the fallback outside',
  },
  {
    code: 'hedge-outside-retry',
    outer: 'hedges',
    inner: 'repeats',
    because: 'each further call retries by itself, so that calls multiply; put the retry outside',
  },
  {
    code: 'bulkhead-outside-hedge',
    outer: 'holds',
    inner: 'hedges',
    because:
      'one slot serves several calls at a time, so that more run than there are slots; put the bulkhead inside',
  },
  {
    code: 'rate-limit-outside-retry',
    outer: 'paces',
    inner: 'repeats',
    because:
      'retries are not counted, so that more is sent than the rate allows; put the rate limiter inside',
  },
]

function checkPair(outer: Step, inner: Step, report: Reporter): void {
  if (outer === inner) {
    report(
      'same-instance-twice',
      `"${outer.name}" stands in this pipeline twice: each call passes and counts twice; use it once, or make a second one`,
      outer,
    )
    return
  }
  const around: RelayTraits = outer.traits
  const within: RelayTraits = inner.traits
  for (const rule of pairRules) {
    if (!around[rule.outer] || !within[rule.inner]) continue
    report(rule.code, `"${inner.name}" inside "${outer.name}": ${rule.because}`, outer, inner)
  }
}

function checkTimeout(outer: Step, inside: readonly Step[], report: Reporter): void {
  const { limits } = outer.traits
  if (!finite(limits)) return
  const repeat = inside.findIndex((step) => step.traits.repeats)
  const attempt = inside.find((step, index) => index > repeat && finite(step.traits.limits))
  const direct = inside.find((step) => finite(step.traits.limits))
  if (repeat < 0) {
    if (direct !== undefined && (direct.traits.limits as number) >= limits) {
      report(
        'inner-timeout-longer',
        `"${direct.name}" waits ${direct.traits.limits} ms inside "${outer.name}" of ${limits} ms, so it never fires; make the inner one shorter`,
        outer,
        direct,
      )
    }
    return
  }
  if (attempt === undefined) return checkPauses(outer, inside[repeat] as Step, limits, report)
  // What a function of the user's own will say is not known: no finding on a guess.
  const needed = timeOf(inside.map((step) => step.traits)) ?? Number.POSITIVE_INFINITY
  const retry = inside[repeat] as Step
  if ((attempt.traits.limits as number) >= limits) {
    report(
      'timeout-shorter-than-attempt',
      `"${outer.name}" of ${limits} ms ends before one attempt of ${attempt.traits.limits} ms ("${attempt.name}") can: nothing is ever retried after a timeout; lengthen the total or shorten the attempt`,
      outer,
      retry,
      attempt,
    )
  } else if (needed > limits) {
    report(
      'timeout-shorter-than-retries',
      `"${outer.name}" of ${limits} ms cannot fit what "${retry.name}" plans: ${needed === Number.POSITIVE_INFINITY ? 'unboundedly long' : `${Math.ceil(needed)} ms`} for ${retry.traits.repeats?.calls} attempts; plan fewer or shorter ones, or lengthen the total`,
      outer,
      retry,
      attempt,
    )
  }
}

/** Without a limit for each attempt only the pauses are known. */
function checkPauses(outer: Step, retry: Step, limit: number, report: Reporter): void {
  const pauses = retry.traits.repeats?.pauses ?? 0
  if (pauses < limit) return
  report(
    'timeout-shorter-than-retries',
    `"${outer.name}" of ${limit} ms cannot fit the pauses of "${retry.name}" alone, up to ${Math.ceil(pauses)} ms: its last attempts are never made; plan fewer or shorter ones, or lengthen the total`,
    outer,
    retry,
  )
}

function finite(limit: number | undefined): limit is number {
  return limit !== undefined && Number.isFinite(limit)
}
