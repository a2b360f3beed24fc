/**
 * Answer something else: an alternate service, the last known good value, a safe default.
 * Tried in order, and only when the call itself failed.
 */
import { FallbackExhaustedError } from '../core/errors.ts'
import { quiet } from '../core/events.ts'
import { checkOption, fn, optional, readOptions, show, string } from '../core/options.ts'
import { judge, type Outcome } from '../core/outcome.ts'
import type { Context, Description, Policy, Stats } from '../core/policy.ts'
import { stackless } from '../core/stackless.ts'
import type { Reaction, Traits, Visit } from '../core/step.ts'
import { type CommonOptions, commonChecks, StepPolicy } from '../core/step-policy.ts'
import { resembling } from '../core/wrapper.ts'

/** Gives an answer in place of the call that failed with `error`. `context.args` are its arguments. */
export type FallbackFunction<T> = (error: unknown, context: Context) => T | PromiseLike<T>

/** An alternative with a name of its own. */
export interface FallbackStep<T> {
  /** Tells in events and detailed answers where the answer came from. @default the function's name */
  readonly name?: string | undefined
  readonly run: FallbackFunction<T>
  /** Leaves this step out when it returns false (or throws). @default every handled failure */
  readonly when?: ((error: unknown) => boolean) | undefined
}

/** One step of a fallback. */
export type FallbackAlternative<T> = FallbackFunction<T> | FallbackStep<T>

/** Options of {@link fallback}. */
export interface FallbackOptions<T> extends CommonOptions {
  /** The alternatives, first choice first; at least one. */
  readonly steps: readonly FallbackAlternative<T>[]
  /** Which failures are worth an alternative. @default all but aborts and programming errors */
  readonly handles?: ((error: unknown) => boolean) | undefined
}

/** How the calls of a fallback ended, and who answered. */
export interface FallbackStats extends Stats {
  /** Calls that were answered by an alternative. They count as succeeded too. */
  readonly degraded: number
  /** Calls for which every alternative failed. */
  readonly exhausted: number
  /** Answers by step name. */
  readonly sources: Readonly<Record<string, number>>
}

/** Answers with an alternative when the call failed. */
export interface Fallback<T> extends Policy<T> {
  stats(): FallbackStats
}

/**
 * Answers failed calls from the next best source: tried in order, the first that works is the answer.
 *
 * Each alternative gets the failure and the context (signal, deadline, arguments). `undefined`, `null`,
 * `0` and `''` are answers like any other. If all fail, the call rejects with `FallbackExhaustedError`,
 * whose `errors` are all causes in order. Nothing is tried after the caller aborted, and a bug in your
 * own code (`TypeError`, `ReferenceError`, …) passes through instead of being hidden.
 *
 * **Use it** outermost, so that it sees what is left after retries.
 * **Not for** answers that must be right: a default price is a wrong price.
 *
 * **Watch out:** a degraded answer looks like any other. `executeDetailed` tells its source, and so do the
 * `fallback` event and `stats()`.
 *
 * @param alternatives - Functions, named steps, or one options object with `steps`.
 * @throws TypeError at construction, if a step is no function.
 *
 * @example
 * ```ts
 * import { fallback } from 'holdfast'
 *
 * const guess = fallback({ name: 'default', run: () => 'guess' })
 * await guess.execute(() => Promise.reject(new Error('down'))) // => 'guess'
 * const answer = await guess.executeDetailed(() => Promise.reject(new Error('down')))
 * answer.source // => 'default'
 * ```
 */
export function fallback<T>(options: FallbackOptions<T>): Fallback<T>
export function fallback<const S extends readonly FallbackAlternative<unknown>[]>(
  ...alternatives: S
): Fallback<AnswerOf<S[number]>>
export function fallback(
  ...given: readonly (FallbackAlternative<unknown> | FallbackOptions<unknown>)[]
): Fallback<unknown> {
  const [first] = given
  const alone = given.length === 1 && typeof first === 'object' && first !== null
  const options =
    alone && 'steps' in first ? first : { steps: given as FallbackAlternative<unknown>[] }
  return new FallbackPolicy(readOptions('fallback', options, checks))
}

/** What an alternative answers. */
export type AnswerOf<S> = S extends { readonly run: (...args: never) => infer R }
  ? Awaited<R>
  : S extends (...args: never) => infer R
    ? Awaited<R>
    : never

/**
 * The same function, with others to ask when it fails: same arguments, same `this`, same name and length.
 *
 * Alternates get the arguments of the call, and after them the failure. They are tried in order.
 *
 * @example
 * ```ts
 * import { withFallback } from 'holdfast'
 *
 * const price = withFallback(
 *   async (id: string): Promise<number> => { throw new Error(`no price for ${id}`) },
 *   (id: string) => id.length,
 * )
 * await price('abc') // => 3
 * ```
 */
export function withFallback<This, Args extends readonly unknown[], T, Alt = T>(
  primary: (this: This, ...args: Args) => T | PromiseLike<T>,
  ...alternates: readonly ((
    this: This,
    ...args: [...Args, error: unknown]
  ) => Alt | PromiseLike<Alt>)[]
): WithFallback<This, Args, T, Alt> {
  checkOption('withFallback', 'primary', primary, fn)
  for (const alternate of alternates) checkOption('withFallback', 'alternate', alternate, fn)
  const steps = alternates.map((alternate, index) => ({
    name: alternate.name || `alternate-${index + 1}`,
    run: (error: unknown, { args: [self, ...args] }: Context) =>
      alternate.call(self as This, ...(args as unknown as Args), error),
  }))
  const policy = new FallbackPolicy<Alt>({ name: primary.name || 'withFallback', steps })
  function withAlternates(this: This, ...args: Args): Promise<T | Alt> {
    // Its own `this` travels with the arguments: the steps are made once, not per call.
    return policy.execute(() => primary.apply(this, args as never), { args: [this, ...args] })
  }
  return Object.assign(resembling(withAlternates, primary), { policy })
}

/** A function with alternates, and the fallback policy that stands behind it. */
export interface WithFallback<This, Args extends readonly unknown[], T, Alt> {
  (this: This, ...args: Args): Promise<T | Alt>
  /** Tells by `stats()` and `subscribe()` who answered. */
  readonly policy: Fallback<Alt>
}

const checks = {
  ...commonChecks,
  steps: {
    expected: 'a list of at least one function or { name, run, when } (wrap a value: () => value)',
    fault: (value: unknown) => {
      if (!Array.isArray(value) || value.length === 0) return 'type' as const
      value.forEach(checkStep)
      return undefined
    },
    hint: (value: unknown) => (Array.isArray(value) ? 'it is empty' : undefined),
  },
  handles: optional(fn),
}

const stepChecks = { name: optional(string), run: fn, when: optional(fn) }

function checkStep(step: unknown, index: number): void {
  if (typeof step === 'function') return
  const what = show(step)
  if (what === 'an object') {
    readOptions('fallback step', step as FallbackStep<unknown>, stepChecks)
    return
  }
  const wanted = 'a function or { name, run, when } (wrap a value: () => value)'
  const advice = Array.isArray(step) ? '; give the steps one by one: fallback(a, b)' : ''
  throw new TypeError(`fallback: step ${index + 1} must be ${wanted}, but was ${what}${advice}`)
}

interface NamedStep<T> {
  readonly name: string
  readonly run: FallbackFunction<T>
  readonly when: ((error: unknown) => boolean) | undefined
}

/** How far one call has come. */
interface Progress {
  readonly errors: unknown[]
  readonly tried: string[]
  next: number
}

class FallbackPolicy<T> extends StepPolicy<T> implements Fallback<T> {
  readonly passive = true
  override readonly traits: Traits = { recovers: true }
  readonly #steps: readonly NamedStep<T>[]
  readonly #handles: (error: unknown) => boolean
  readonly #sources = new Map<string, number>()
  #exhausted = 0

  constructor(options: FallbackOptions<T>) {
    super('fallback', options)
    this.#steps = options.steps.map(nameStep)
    this.#handles = options.handles ?? isWorthAnAlternative
  }

  react(outcome: Outcome, visit: Visit): Reaction | undefined {
    const progress = visit.memo as Progress | undefined
    if (outcome.ending === 'succeeded') {
      if (progress !== undefined) this.#answered(progress, visit)
      return undefined
    }
    return progress === undefined
      ? this.#begin(outcome.error, visit)
      : this.#goOn(outcome.error, visit)
  }

  override describe(): Description {
    const { policy, name, options } = super.describe()
    return { policy, name, options: { ...options, steps: this.#steps.map((step) => step.name) } }
  }

  override stats(): FallbackStats {
    const sources = Object.fromEntries(this.#sources)
    const degraded = [...this.#sources.values()].reduce((sum, count) => sum + count, 0)
    return { ...super.stats(), degraded, exhausted: this.#exhausted, sources }
  }

  #begin(error: unknown, visit: Visit): Reaction | undefined {
    if (!saysYes(this.#handles, error)) return undefined
    const progress: Progress = { errors: [error], tried: [], next: 0 }
    visit.memo = progress
    return this.#next(progress)
  }

  #goOn(error: unknown, visit: Visit): Reaction | undefined {
    const progress = visit.memo as Progress
    progress.errors.push(error)
    this.#tell(visit, progress, { ok: false, error })
    return this.#next(progress)
  }

  #next(progress: Progress): Reaction | undefined {
    const { errors, tried } = progress
    const [cause] = errors
    while (progress.next < this.#steps.length) {
      const step = this.#steps[progress.next++] as NamedStep<T>
      if (step.when !== undefined && !saysYes(step.when, cause)) continue
      tried.push(step.name)
      return { kind: 'instead', source: step.name, run: (context) => step.run(cause, context) }
    }
    if (tried.length === 0) return undefined
    this.#exhausted++
    const error = stackless(() => new FallbackExhaustedError(this.name, errors, tried))
    return { kind: 'fail', error }
  }

  #answered(progress: Progress, visit: Visit): void {
    const source = progress.tried.at(-1) as string
    this.#sources.set(source, (this.#sources.get(source) ?? 0) + 1)
    this.#tell(visit, progress, { ok: true })
  }

  #tell(visit: Visit, progress: Progress, result: { ok: boolean; error?: unknown }): void {
    if (!this.emitter.observed) return
    const { pipeline } = visit.call
    const source = progress.tried.at(-1) as string
    const [cause] = progress.errors
    const at = this.clock.now()
    this.emitter.emit({
      type: 'fallback',
      policy: this.name,
      pipeline,
      at,
      source,
      cause,
      ...result,
    })
  }
}

function nameStep<T>(step: FallbackAlternative<T>, index: number): NamedStep<T> {
  const { name, run, when } = typeof step === 'function' ? { ...fromFunction(step) } : step
  return { name: name || run.name || `step-${index + 1}`, run, when }
}

function fromFunction<T>(run: FallbackFunction<T>): FallbackStep<T> {
  return { name: run.name, run }
}

function isWorthAnAlternative(error: unknown): boolean {
  const verdict = judge(error)
  return verdict !== 'bug' && verdict !== 'aborted'
}

/** A predicate that throws says no: the caller then sees the failure itself. */
function saysYes(predicate: (error: unknown) => boolean, error: unknown): boolean {
  try {
    return quiet(predicate(error)) === true
  } catch {
    return false
  }
}
