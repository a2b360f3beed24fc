/** One suite that everything with an `execute` passes, whatever it is made of. */
import { describe } from 'vitest'
import { abortsAtOnce } from './aborts.contract.ts'
import { answersAsTheFunctionDoes } from './answers.contract.ts'
import { tellsTheFunction } from './context.contract.ts'
import { leavesNothingBehind } from './leaks.contract.ts'
import { survivesObservers } from './observers.contract.ts'
import type { Make } from './subjects.ts'
import { wrapsFunctions } from './wrap.contract.ts'

export function policyContract(name: string, make: Make): void {
  describe(name, () => {
    answersAsTheFunctionDoes(make)
    abortsAtOnce(make)
    tellsTheFunction(make)
    leavesNothingBehind(make)
    survivesObservers(make)
    wrapsFunctions(make)
  })
}
