/**
 * What in the order of a pipeline cannot work, or was probably not meant; and its worst case.
 * Works on traits alone: it knows what policies do to a call, not which policies there are.
 */
import type { RelayTraits } from '../core/relay.ts'
import type { Step } from '../core/step.ts'

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

/** The most that one call can cost, by the policies alone. */
export interface WorstCase {
  /** Longest time to an answer by the policies' own plan, fallback steps left out, in ms; null if nothing bounds it. */
  readonly plannedTime: number | null
  /** The same with fallback steps, and when a server asks for the longest pauses (Retry-After). */
  readonly longestTime: number | null
  /** Most calls of the function for one call of the pipeline; null if nothing bounds them. */
  readonly mostCalls: number | null
}

/** Everything that looks wrong in `steps`, outermost first. */
export function findingsIn(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = []
  const report = (code: FindingCode, message: string, ...of: readonly Step[]): void => {
    findings.push({ code, message, policies: of.map((step) => step.name) })
  }
  steps.forEach((outer, index) => {
    for (const inner of steps.slice(index + 1)) {
      checkPair(outer, inner, report)
      if (inner === outer) continue
      checkShared(outer, inner, report)
      checkLoad(outer, inner, report)
    }
    checkTimeout(outer, steps.slice(index + 1), report)
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

function checkPair(outer: Step, inner: Step, report: Reporter): void {
  const { traits: around } = outer
  const { traits: within } = inner
  const names = `"${inner.name}" inside "${outer.name}"`
  if (outer === inner) {
    report(
      'same-instance-twice',
      `"${outer.name}" stands in this pipeline twice: each call passes and counts twice; use it once, or make a second one`,
      outer,
    )
    return
  }
  if (around.repeats && within.recovers) {
    report(
      'fallback-inside-retry',
      `${names}: the fallback turns every failure into an answer, so nothing is ever retried; put the fallback outside`,
      outer,
      inner,
    )
  }
  if (around.judges && within.recovers) {
    report(
      'fallback-inside-breaker',
      `${names}: the breaker sees only answers, so it never opens; put the fallback outside`,
      outer,
      inner,
    )
  }
  if (around.judges && within.repeats) {
    report(
      'retry-inside-breaker',
      `${names}: a whole retry loop counts as one outcome, so the circuit opens late; put the retry outside`,
      outer,
      inner,
    )
  }
  if (around.holds && within.repeats) {
    report(
      'bulkhead-outside-retry',
      `${names}: the slot is held while backoff sleeps; put the bulkhead inside`,
      outer,
      inner,
    )
  }
}

/** What is asked once for many, or kept, is not seen by those around it as it happens. */
function checkShared(outer: Step, inner: Step, report: Reporter): void {
  const around: RelayTraits = outer.traits
  const within: RelayTraits = inner.traits
  const names = `"${inner.name}" inside "${outer.name}"`
  if (around.repeats && within.keeps) {
    report(
      'cache-inside-retry',
      `${names}: a stale value is an answer, so a call that failed is not retried, and what is behind the caller never; put the cache outside`,
      outer,
      inner,
    )
  }
  if (around.judges && within.shares) {
    report(
      'shared-inside-breaker',
      `${names}: one failed call counts once for each caller that waited for it, and kept values count as successes; put the breaker inside`,
      outer,
      inner,
    )
  }
  if (around.holds && within.shares) {
    report(
      'bulkhead-outside-shared',
      `${names}: everybody who waits for the same call holds a slot, and a call behind its caller holds none; put the bulkhead inside`,
      outer,
      inner,
    )
  }
  if (around.keeps && within.recovers) {
    report(
      'fallback-inside-cache',
      `${names}: the fallback answers before the last good value is asked for, and what it answers is not kept; put the fallback outside`,
      outer,
      inner,
    )
  }
}

/** What governs load must see every call that it governs. */
function checkLoad(outer: Step, inner: Step, report: Reporter): void {
  const around: RelayTraits = outer.traits
  const within: RelayTraits = inner.traits
  const names = `"${inner.name}" inside "${outer.name}"`
  if (around.hedges && within.repeats) {
    report(
      'hedge-outside-retry',
      `${names}: each further call retries by itself, so that calls multiply; put the retry outside`,
      outer,
      inner,
    )
  }
  if (around.holds && within.hedges) {
    report(
      'bulkhead-outside-hedge',
      `${names}: one slot serves several calls at a time, so that more run than there are slots; put the bulkhead inside`,
      outer,
      inner,
    )
  }
  if (around.paces && within.repeats) {
    report(
      'rate-limit-outside-retry',
      `${names}: retries are not counted, so that more is sent than the rate allows; put the rate limiter inside`,
      outer,
      inner,
    )
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

/** Adds up, from the innermost policy outwards, at its worst. */
export function worstCaseOf(traits: readonly RelayTraits[]): WorstCase {
  let calls = 1
  for (const { repeats, hedges, unknown } of traits) {
    calls *= unknown ? Number.POSITIVE_INFINITY : (repeats?.calls ?? 1) * (1 + (hedges?.calls ?? 0))
  }
  const longestTime = timeOf(traits, 'at worst')
  return { plannedTime: timeOf(traits), longestTime, mostCalls: orNull(calls) }
}

/** The longest time to an answer, as planned by the policies or when everything asks for its longest. */
function timeOf(traits: readonly RelayTraits[], when?: 'at worst'): number | null {
  let time = Number.POSITIVE_INFINITY
  for (const each of [...traits].reverse()) {
    const { repeats, hedges, holds, paces, limits, recovers, unknown } = each
    // How long alternatives take is nobody's plan, but it counts at worst.
    if (unknown || (recovers && when)) time = Number.POSITIVE_INFINITY
    if (repeats !== undefined) {
      const pauses = when
        ? (repeats.longestPauses ?? Number.POSITIVE_INFINITY)
        : (repeats.pauses ?? 0)
      time = Math.min(time * repeats.calls + pauses, repeats.maxElapsed + time)
    }
    // A call that fails does not let the next one wait for its delay.
    if (hedges !== undefined) time += hedges.calls * Math.min(hedges.delay, time)
    time += (holds?.maxWait ?? 0) + (paces?.maxWait ?? 0)
    if (limits !== undefined) time = Math.min(time, limits)
  }
  return orNull(time)
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

function finite(limit: number | undefined): limit is number {
  return limit !== undefined && Number.isFinite(limit)
}
