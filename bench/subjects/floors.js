/**
 * The physical floors: the least that a layer around a promise can cost. They show which part of a
 * ratio belongs to the machine rather than to a library.
 */
const pass = (/** @type {unknown} */ value) => value
const fail = (/** @type {unknown} */ error) => {
  throw error
}

/** @type {(value: unknown) => void} */
let resolve
/** @type {(reason: unknown) => void} */
let reject
const executor = (
  /** @type {(value: unknown) => void} */ take,
  /** @type {(reason: unknown) => void} */ refuse,
) => {
  resolve = take
  reject = refuse
}

/** One derived promise: the floor where nothing may settle early. */
export const thenLayer = (/** @type {() => Promise<unknown>} */ fn) => fn().then(pass, fail)

/** One promise of one's own: the floor where a limit may settle before the callee does. */
export const promiseLayer = (/** @type {() => Promise<unknown>} */ fn) => {
  const promise = new Promise(executor)
  fn().then(resolve, reject)
  return promise
}

/** One async function: what a hand-written wrapper costs. */
export const asyncLayer = async (/** @type {() => Promise<unknown>} */ fn) => await fn()

/**
 * The rows for tables whose baseline is a bare `await fn()` of an async no-op.
 *
 * @returns {import('../harness/types.js').Case[]}
 */
export const floors = () => [
  { subject: 'floor:then', call: 'layer(fn)', scope: { layer: thenLayer, fn: async () => 1 } },
  {
    subject: 'floor:new Promise',
    call: 'layer(fn)',
    scope: { layer: promiseLayer, fn: async () => 1 },
  },
]

/** @returns {import('../harness/types.js').Case} */
export const bare = () => ({ subject: 'bare', call: 'fn()', scope: { fn: async () => 1 } })
