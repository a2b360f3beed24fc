/**
 * A promise together with its two handles, for promises that somebody else settles.
 * Node 20 has no `Promise.withResolvers`; this is the part of it that is needed.
 * Settling a second time has no effect, as with any promise.
 */

/** A promise that is settled from outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T | PromiseLike<T>) => void
  readonly reject: (reason: unknown) => void
}

/** Makes a pending promise and the handles that settle it. */
export function deferred<T = void>(): Deferred<T> {
  let resolve!: Deferred<T>['resolve']
  let reject!: Deferred<T>['reject']
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
