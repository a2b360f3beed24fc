/** The loop that `profile.mjs` samples: five policies, nothing fails. Prints the ns of one call. */
import { bulkhead, circuitBreaker, fallback, pipeline, retry, timeout } from '../../dist/index.js'

const five = pipeline(
  'five',
  fallback(() => 0),
  retry(),
  circuitBreaker(),
  bulkhead({ maxConcurrent: 10 }),
  timeout(2_000),
)
const answer = async () => 1
const calls = 3_000_000

/** @param {number} times */
async function loop(times) {
  for (let call = 0; call < times; call++) await five.execute(answer)
}

await loop(200_000)
const began = performance.now()
await loop(calls)
console.log(((performance.now() - began) * 1e6) / calls)
