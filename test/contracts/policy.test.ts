import { policyContract } from './policy.contract.ts'
import { policies } from './subjects.ts'

for (const [name, make] of policies) policyContract(name, make)
