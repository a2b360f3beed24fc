/**
 * What the function gets beside its item. Signals are made when they are read: most functions that end
 * at once never do.
 */
import type { ExecuteOptions } from '../../core/policy.ts'
import type { AnyPolicy, ItemContext, Mapper } from './options.ts'

/** The part of a run that its items know. */
export interface Watcher {
  readonly over: boolean
  readonly reason: unknown
  /** Lets `item.end` be called when the run stops before the item has ended. */
  watch(item: Item): void
}

/** One item under way. */
export class Item implements ItemContext {
  readonly index: number
  controller: AbortController | undefined = undefined
  readonly #run: Watcher

  constructor(run: Watcher, index: number) {
    this.#run = run
    this.index = index
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.#run.over) this.controller.abort(this.#run.reason)
      else this.#run.watch(this)
    }
    return this.controller.signal
  }

  end(reason: unknown): void {
    this.controller?.abort(reason)
  }
}

/** The same inside a policy, whose attempt has a signal of its own. */
class PolicyItem implements ItemContext {
  readonly index: number
  readonly #inner: ExecuteOptions | undefined
  readonly #signal: AbortSignal

  constructor(index: number, inner: ExecuteOptions | undefined, signal: AbortSignal) {
    this.index = index
    this.#inner = inner
    this.#signal = signal
  }

  get signal(): AbortSignal {
    return this.#inner?.signal ?? this.#signal
  }
}

/** Apart from where it is called: a closure in a function costs each of its calls a context, made or not. */
export function callUnder(
  policy: AnyPolicy,
  fn: Mapper<unknown, unknown>,
  value: unknown,
  index: number,
  signal: AbortSignal,
): unknown {
  return policy.execute((inner) => fn(value, new PolicyItem(index, inner, signal)), {
    signal,
    args: [value],
  })
}
