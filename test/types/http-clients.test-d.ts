import axios from 'axios'
import got from 'got'
import { resilientAdapter } from 'holdfast/axios'
import { resilientFetch } from 'holdfast/fetch'
import { resilientGot } from 'holdfast/got'
import { resilientKy } from 'holdfast/ky'
import { resilientInterceptor } from 'holdfast/undici'
import ky from 'ky'
import * as undici from 'undici'
import { describe, expectTypeOf, it } from 'vitest'

describe('a resilient fetch', () => {
  it('stands wherever fetch stands', () => {
    expectTypeOf(resilientFetch()).toExtend<typeof globalThis.fetch>()
    expectTypeOf(resilientFetch()('https://a.example')).resolves.toEqualTypeOf<Response>()
    resilientFetch({ fetch: globalThis.fetch })
    resilientFetch({ fetch: undici.fetch })
    resilientFetch({ fetch: resilientFetch() })
    resilientFetch()('https://a.example', { method: 'POST', resilience: { timeout: 1 } })
  })

  it('takes no option that does not exist', () => {
    // @ts-expect-error an option that does not exist
    resilientFetch({ retries: 3 })
    // @ts-expect-error a level that is no policy
    resilientFetch({ retry: 'often' })
    // @ts-expect-error an override that does not exist
    resilientFetch()('https://a.example', { resilience: { circuitBreaker: false } })
  })
})

describe('the other doors', () => {
  it('fit the clients that they are made for', () => {
    axios.create({ adapter: resilientAdapter(axios.getAdapter('http')) })
    expectTypeOf(got.extend(resilientGot().extension)).toExtend<typeof got>()
    expectTypeOf(ky.create(resilientKy())).toExtend<typeof ky>()
    new undici.Agent().compose(resilientInterceptor())
    new undici.Agent().compose([resilientInterceptor({ timeout: 1 })])
  })
})
