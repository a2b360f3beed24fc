import { withTurns } from '../support/clocks.ts'
import { policyContract } from './policy.contract.ts'
import { pipelines, policies } from './subjects.ts'

for (const [name, make] of [...policies, ...pipelines]) {
  policyContract(`${name}, on a clock with turns`, (clock) => make(withTurns(clock)))
}
