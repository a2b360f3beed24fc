/** The handles of the promise that was made last with `executor`: what every floor needs by hand. */

/** @type {(value?: unknown) => void} */
export let resolve
/** @type {(error: unknown) => void} */
export let reject

export const executor = (
  /** @type {(value: unknown) => void} */ take,
  /** @type {(error: unknown) => void} */ refuse,
) => {
  resolve = /** @type {typeof resolve} */ (take)
  reject = refuse
}
