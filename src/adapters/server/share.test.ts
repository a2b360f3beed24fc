import { describe, expect, it } from 'vitest'
import { RefusalShare } from './share.ts'

describe('the share of refusals', () => {
  it('refuses at most so many of all that came', () => {
    const share = new RefusalShare(0.2)
    let refused = 0
    for (let n = 0; n < 100; n++) {
      share.count(500)
      if (share.tryRefuse(500)) refused++
    }

    expect(refused).toBe(20)
  })

  it('forgets what is older than ten seconds', () => {
    const share = new RefusalShare(0.5)
    for (let n = 0; n < 10; n++) share.count(0)
    for (let n = 0; n < 5; n++) expect(share.tryRefuse(0)).toBe(true)
    expect(share.tryRefuse(9_999)).toBe(false)

    share.count(10_000)
    share.count(10_000)

    expect([share.tryRefuse(10_000), share.tryRefuse(10_000)]).toEqual([true, false])
  })

  it('refuses nobody when nobody may be', () => {
    const share = new RefusalShare(0)
    share.count(0)

    expect(share.tryRefuse(0)).toBe(false)
  })
})
