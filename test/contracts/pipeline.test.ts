import { policyContract } from './policy.contract.ts'
import { pipelines } from './subjects.ts'

for (const [name, make] of pipelines) policyContract(name, make)
