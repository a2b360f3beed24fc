/** Words of the recipes: a gate that the test settles by hand, and a look at how a promise stands. */

/** A promise settled by hand, so that "slow" needs no clock. */
export interface Gate<T = void> {
  readonly promise: Promise<T>
  open(value: T): void
  fail(error: unknown): void
}

export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void
  let fail!: (error: unknown) => void
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  // Whether anybody waits for the gate itself is nobody's business. A test that looks for unhandled
  // rejections hands out a promise of its own: `async () => held.promise`.
  promise.catch(() => {})
  return { promise, open, fail }
}

/** How a promise stands at this moment. */
export interface Seen<T> {
  status: 'pending' | 'fulfilled' | 'rejected'
  value?: T
  reason?: unknown
}

/** Watches a promise; reading `status` later tells whether it has settled meanwhile. */
export function watch<T>(promise: PromiseLike<T>): Seen<T> {
  const seen: Seen<T> = { status: 'pending' }
  promise.then(
    (value) => Object.assign(seen, { status: 'fulfilled', value }),
    (reason: unknown) => Object.assign(seen, { status: 'rejected', reason }),
  )
  return seen
}

/** What a promise rejects with, whatever it is; throws if it resolves. */
export async function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return error
  }
  throw new Error(`expected a rejection, but it resolved with ${String(value)}`)
}

/** As `rejection`, in a box: what was thrown may be a thenable, or something that bites. */
export async function caught(promise: PromiseLike<unknown>): Promise<{ readonly error: unknown }> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return { error }
  }
  throw new Error(`expected a rejection, but it resolved with ${String(value)}`)
}

/** Lets every promise settle that can settle without time passing: two turns of the event loop. */
export async function quiet(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve))
  await new Promise<void>((resolve) => setImmediate(resolve))
}

/** As many results of `make` as asked for. */
export function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

/** A call that never ends and takes no notice of its signal. */
export function hangs(): Promise<never> {
  return new Promise(() => {})
}
