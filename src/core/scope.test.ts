import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { findScope, PromiseScope, Scope } from './scope.ts'

describe('the async context of a caller', () => {
  it.each([
    ["by Node's AsyncResource", Scope],
    ['by a promise, elsewhere', PromiseScope],
  ])('is found again by what is called for it, %s', async (_, Kind) => {
    const caller = new AsyncLocalStorage<string>()
    const scope = caller.run('its own', () => new Kind('test'))
    const found: unknown[] = []

    await caller.run("somebody else's", async () => {
      scope.runInAsyncScope((word: string) => found.push(word, caller.getStore()), undefined, 'go')
    })
    await null

    expect(found).toEqual(['go', 'its own'])
  })

  it.each([
    [{}, PromiseScope],
    [{ process: {} }, PromiseScope],
    [{ process: { getBuiltinModule: () => undefined } }, PromiseScope],
    [globalThis as object, AsyncResource],
  ])('is kept by what the runtime has (%#)', (runtime, kind) => {
    expect(findScope(runtime)).toBe(kind)
  })
})
