import { describe, expect, it } from 'vitest'
import { underLoad } from '../support/overload.ts'

describe('a server at three times its capacity', () => {
  it('goes on answering as much as it can behind the guard, and collapses without it', {
    // A machine that is busy with other things breaks promises about time.
    retry: 2,
  }, async () => {
    const capacity = await underLoad({ rate: 90, seconds: 4 })
    const overload = { rate: 300, seconds: 6 }

    const guarded = await underLoad(overload)
    const bare = await underLoad({ ...overload, bare: true })

    console.table({ 'below capacity': capacity, guarded, bare })
    expect(guarded.goodput).toBeGreaterThan(0.9 * capacity.goodput)
    expect(guarded.p99).toBeLessThan(2 * capacity.p99)
    expect(bare.goodput).toBeLessThan(0.6 * guarded.goodput)
  })
})
