import { describe, it } from 'vitest'
import { withTurns } from '../support/clocks.ts'
import { withoutNoise } from '../support/leaks.ts'
import { faults, prove } from '../support/orders.ts'
import { orders } from '../support/stacks.ts'

describe('CO1 an order of policies that loses calls, on a clock with turns', () => {
  it.each(faults)(
    'settles every call and keeps every slot when the dependency %s',
    async (_title, fault) => {
      await withoutNoise(async () => {
        for (const order of orders) await prove(order, fault, withTurns)
      })
    },
  )
})
