import { describe, expect, it } from 'vitest'
import { deferred } from './deferred.ts'

describe('deferred', () => {
  it('resolves by its handle, with a value or with a promise', async () => {
    const plain = deferred<number>()
    const nested = deferred<number>()

    plain.resolve(1)
    nested.resolve(Promise.resolve(2))

    await expect(Promise.all([plain.promise, nested.promise])).resolves.toEqual([1, 2])
  })

  it('rejects with exactly the reason it is given', async () => {
    const reason = { not: 'an error' }
    const failed = deferred()

    failed.reject(reason)

    await expect(failed.promise).rejects.toBe(reason)
  })

  it('is settled only once', async () => {
    const settled = deferred<string>()

    settled.resolve('first')
    settled.resolve('second')
    settled.reject(new Error('third'))

    await expect(settled.promise).resolves.toBe('first')
  })
})
