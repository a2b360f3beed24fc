import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { begin } from './begin.ts'
import type { Context } from './policy.ts'

const context = { attempt: 1 } as Context

describe('begin', () => {
  it('hands over the context', async () => {
    expect(await begin((given) => given, context)).toBe(context)
  })

  it('passes on a plain promise as it is', () => {
    const work = Promise.resolve('answer')

    expect(begin(() => work, context)).toBe(work)
  })

  it.each([
    ['a value', () => 'answer'],
    ['nothing', () => undefined],
    ['null', () => null],
    ['a function', () => Math.max],
  ])('resolves with %s', async (_what, operation) => {
    const work = begin(operation, context)

    expect(work).toBeInstanceOf(Promise)
    expect(await work).toBe(operation())
  })

  it.each([
    ['an error', new Error('down')],
    ['null', null],
    ['undefined', undefined],
    ['a string', 'down'],
  ])('rejects with %s that is thrown', async (_what, thrown) => {
    const work = begin(() => {
      throw thrown
    }, context)

    const seen = await work.then(
      () => 'resolved',
      (error: unknown) => ({ error }),
    )
    expect(seen).toEqual({ error: thrown })
  })

  it('follows a thenable, and takes only its first word', async () => {
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: that is what a thenable is
      then(resolve: (value: string) => void, reject: (error: unknown) => void) {
        resolve('first')
        reject(new Error('second'))
        throw new Error('third')
      },
    }

    const work = begin(() => thenable, context)

    expect(work.constructor).toBe(Promise)
    expect(await work).toBe('first')
  })

  it('rejects with what a getter of then throws', async () => {
    const broken = new Error('no then for you')
    const thenable = Object.defineProperty({}, 'then', {
      get() {
        throw broken
      },
    })

    await expect(begin(() => thenable, context)).rejects.toBe(broken)
  })

  it('does not trust a subclass, a foreign realm or a promise with a then of its own', async () => {
    class Late<T> extends Promise<T> {}
    const own = Object.assign(Promise.resolve('hidden'), {
      // biome-ignore lint/suspicious/noThenProperty: that is what is to be distrusted
      then(resolve: (value: string) => void) {
        resolve('own')
        resolve('twice')
        return undefined
      },
    })
    const untrusted: [unknown, string][] = [
      [Late.resolve('late'), 'late'],
      [runInNewContext("Promise.resolve('far')"), 'far'],
      [own, 'own'],
    ]

    for (const [promise, answer] of untrusted) {
      const work = begin(() => promise, context)
      expect(work).not.toBe(promise)
      expect([work.constructor, work.then]).toEqual([Promise, Promise.prototype.then])
      expect(await work).toBe(answer)
    }
  })
})
