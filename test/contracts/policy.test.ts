import { policyContract } from './policy.contract.ts'
import { subjects } from './subjects.ts'

for (const [name, make] of subjects) policyContract(name, make)
