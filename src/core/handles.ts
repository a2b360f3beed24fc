/**
 * The handles of a promise without a closure per promise: one executor for all, which leaves them here
 * to be read right after `new Promise(capture)`.
 */

/** Resolves the promise that was made last with `capture`. */
export let resolveNew: (value: unknown) => void = ignore
/** Rejects the promise that was made last with `capture`. */
export let rejectNew: (error: unknown) => void = ignore

export function capture(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
  resolveNew = resolve
  rejectNew = reject
}

function ignore(): void {}
