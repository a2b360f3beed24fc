import { describe, expect, it } from 'vitest'
import { withoutNoise } from '../support/leaks.ts'
import { faults, prove } from '../support/orders.ts'
import { orders } from '../support/stacks.ts'

describe('CO1 an order of policies that loses calls', () => {
  it('is proven for all 120 orders', () => {
    expect(new Set(orders.map(String)).size).toBe(120)
  })

  it.each(faults)(
    'settles every call and keeps every slot when the dependency %s',
    async (_title, fault) => {
      await withoutNoise(async () => {
        for (const order of orders) await prove(order, fault)
      })
    },
  )
})
