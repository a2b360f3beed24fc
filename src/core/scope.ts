/**
 * The async context of a caller, kept until something is called for it: what waits in a line is begun by
 * whoever leaves the slot, and must find its own caller's context all the same.
 *
 * Node's AsyncResource is the cheapest that does it, and can be had without an import. Elsewhere a promise
 * does, one hop later.
 */
import { capture, resolveNew } from './handles.ts'

export interface AsyncScope {
  /** Calls `fn(argument)` in the context in which this was made. Once. `fn` must not throw. */
  runInAsyncScope<T>(fn: (argument: T) => void, self: undefined, argument: T): void
}

interface ScopeOptions {
  readonly triggerAsyncId: undefined
  readonly requireManualDestroy: false
}

type ScopeClass = new (type: string, options?: ScopeOptions) => AsyncScope

/** Node's own defaults, spelled out: left out, they are read from an object without a prototype, which is slow. */
export const scopeOptions: ScopeOptions = { triggerAsyncId: undefined, requireManualDestroy: false }

interface Runtime {
  readonly process?: {
    getBuiltinModule?(id: string): { readonly AsyncResource?: ScopeClass } | undefined
  }
}

/** For runtimes without an AsyncResource. */
export class PromiseScope implements AsyncScope {
  readonly #go: (call: () => void) => void

  constructor() {
    const told = new Promise(capture) as Promise<() => void>
    this.#go = resolveNew as (call: () => void) => void
    told.then((call) => call())
  }

  runInAsyncScope<T>(fn: (argument: T) => void, _self: undefined, argument: T): void {
    this.#go(() => fn(argument))
  }
}

export function findScope(runtime: Runtime): ScopeClass {
  return runtime.process?.getBuiltinModule?.('node:async_hooks')?.AsyncResource ?? PromiseScope
}

export const Scope: ScopeClass = findScope(globalThis as Runtime)
