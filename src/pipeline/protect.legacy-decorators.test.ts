import { pipeline, retry } from 'holdfast'
import { scripted } from 'holdfast/testing'
import { expect, it } from 'vitest'
import { protect } from './protect.ts'

const operation = scripted(['fail', { value: 'product 42' }])

class Shop {
  readonly prefix = 'shop: '

  @protect(pipeline('shop', retry({ baseDelay: 0 })))
  async product(): Promise<string> {
    return this.prefix + (await operation())
  }
}

it('protects a method of a file that is compiled by the legacy convention', async () => {
  expect(await new Shop().product()).toBe('shop: product 42')
  expect(operation.calls).toBe(2)
})
