import { describe, expect, it } from 'vitest'
import { Pauses } from './pauses.ts'

describe('the pauses after failures', () => {
  it('last as long as they are told, and no longer', () => {
    const pauses = new Pauses(100)
    pauses.begin('tea', 1_000)

    expect([pauses.has('tea', 1_099), pauses.has('salt', 1_099)]).toEqual([true, false])
    expect(pauses.has('tea', 1_100)).toBe(false)
    pauses.begin('tea', 2_000)
    pauses.begin('tea', 2_050)
    expect(pauses.has('tea', 2_149)).toBe(true)
    pauses.end('tea')
    expect(pauses.has('tea', 2_000)).toBe(false)
  })

  it('are as many as there may be: a million keys that fail are forgotten, the oldest first', () => {
    const pauses = new Pauses(100)
    for (let n = 0; n < 1_000_000; n++) pauses.begin(`key ${n}`, 0)

    expect(pauses.has('key 999999', 0)).toBe(true)
    expect(pauses.has('key 995000', 0)).toBe(true)
    expect(pauses.has('key 989999', 0)).toBe(false)
  })

  it('are none when they take no time', () => {
    const pauses = new Pauses(0)
    pauses.begin('tea', 0)

    expect(pauses.has('tea', 0)).toBe(false)
  })
})
