/**
 * An operation that behaves as its script says: works, fails, hangs, takes its time.
 * It counts its calls and remembers what it was given, so that a test can look at both.
 */

import type { Clock } from '../core/clock.ts'
import { type Deferred, deferred } from '../core/deferred.ts'
import { clock as aClock, optional, readOptions, show } from '../core/options.ts'
import type { Context } from '../core/policy.ts'

/**
 * What one call does.
 *
 * - `'ok'`: resolves with `'ok'`
 * - `'fail'`: rejects with `new Error('scripted failure #n')`, n being the number of the call
 * - `'hang'`: never settles and ignores its signal, until `settleHung()`
 * - `{ value }`: resolves with the value
 * - `{ error }`: rejects with exactly this, which may be anything
 * - `{ after, value }` or `{ after, error }`: the same after so many ms of the `clock`; with neither,
 *   resolves with `'ok'`
 */
export type ScriptStep<T> =
  | 'ok'
  | 'fail'
  | 'hang'
  | ValueStep<T>
  | { readonly after?: number; readonly error: unknown }
  | { readonly after: number }

/** A step that gives a value of one's own. */
type ValueStep<T> = { readonly after?: number; readonly value: T }

/** A step that never gives any. */
type FailStep = 'fail' | { readonly after?: number; readonly error: unknown }

/** What a script needs besides its steps. */
export interface ScriptedOptions {
  /** The clock of steps with `after`. */
  readonly clock?: Clock | undefined
}

/** An operation with a script and a memory. */
export interface Scripted<T> {
  (context?: Context): Promise<T>
  /** How often it was called. */
  readonly calls: number
  /** What each call was given as its context, oldest first; undefined for a call without. */
  readonly contexts: readonly (Context | undefined)[]
  /** The signal of each call, oldest first; undefined for a call without. */
  readonly signals: readonly (AbortSignal | undefined)[]
  /** How many calls hang at this moment. */
  readonly hung: number
  /** Ends every call that hangs, as `'ok'` or as `'fail'`, and returns how many there were. */
  settleHung(as?: 'ok' | 'fail'): number
}

/**
 * Makes an operation that does what the script says, one step per call; the last step repeats.
 *
 * **Use it** for the function that a policy protects.
 *
 * **Watch out:** it reads `context.signal` at each call, so that the signal is made.
 *
 * @param steps - At least one step.
 * @throws TypeError if a step is unknown, there is none, or `after` is used without a clock.
 *
 * @example
 * ```ts
 * import { scripted } from 'holdfast/testing'
 *
 * const operation = scripted(['fail', { value: 42 }])
 * const first = await operation().catch((error) => error.message)
 * first // => 'scripted failure #1'
 * await operation() // => 42
 * operation.calls // => 2
 * ```
 */
export function scripted<T>(
  steps: readonly (ValueStep<T> | FailStep)[],
  options?: ScriptedOptions,
): Scripted<T>
export function scripted<T = never>(
  steps: readonly ScriptStep<T>[],
  options?: ScriptedOptions,
): Scripted<T | 'ok'>
export function scripted<T = never>(
  steps: readonly ScriptStep<T>[],
  options: ScriptedOptions = {},
): Scripted<T | 'ok'> {
  const { clock } = readOptions('scripted', options, { clock: optional(aClock) })
  const script = checkSteps(steps, clock)
  const contexts: (Context | undefined)[] = []
  const signals: (AbortSignal | undefined)[] = []
  const hanging = new Map<Deferred<T | 'ok'>, Error>()

  const operation = async (context?: Context): Promise<T | 'ok'> => {
    const call = contexts.push(context)
    signals.push(context?.signal)
    const step = script[Math.min(call, script.length) - 1] as ScriptStep<T>
    const failure = new Error(`scripted failure #${call}`)
    if (step === 'ok') return 'ok'
    if (step === 'fail') throw failure
    if (step === 'hang') {
      const hung = deferred<T | 'ok'>()
      hanging.set(hung, failure)
      return hung.promise
    }
    if (step.after !== undefined) {
      const { after } = step
      await new Promise<void>((resolve) => clock?.setTimer(resolve, after))
    }
    if ('error' in step) throw step.error
    return 'value' in step ? step.value : 'ok'
  }

  const settleHung = (as: 'ok' | 'fail' = 'ok'): number => {
    const ended = [...hanging]
    hanging.clear()
    for (const [hung, failure] of ended) {
      if (as === 'ok') hung.resolve('ok')
      else hung.reject(failure)
    }
    return ended.length
  }

  return Object.defineProperties(operation, {
    calls: { get: () => contexts.length },
    contexts: { get: () => [...contexts] },
    signals: { get: () => [...signals] },
    hung: { get: () => hanging.size },
    settleHung: { value: settleHung },
  }) as Scripted<T | 'ok'>
}

function checkSteps<T>(
  steps: readonly ScriptStep<T>[],
  clock: Clock | undefined,
): readonly ScriptStep<T>[] {
  if (!Array.isArray(steps) || steps.length === 0) {
    throw new TypeError('scripted: steps must be an array of at least one step')
  }
  for (const [at, step] of steps.entries()) checkStep(`steps[${at}]`, step, clock)
  return [...steps]
}

function checkStep(name: string, step: unknown, clock: Clock | undefined): void {
  if (step === 'ok' || step === 'fail' || step === 'hang') return
  const isStep =
    typeof step === 'object' &&
    step !== null &&
    ('value' in step || 'error' in step || 'after' in step)
  if (!isStep) {
    throw new TypeError(
      `scripted: ${name} must be 'ok', 'fail', 'hang' or an object with value, error or after, ` +
        `but was ${show(step)}`,
    )
  }
  if ('after' in step && step.after !== undefined && clock === undefined) {
    throw new TypeError(`scripted: ${name} has \`after\` and needs the option clock`)
  }
}
