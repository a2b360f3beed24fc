/** The built package on this Node, by the names that users write: it loads, and it does what it says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const [major = 0] = process.versions.node.split('.').map(Number)

/** `node:sqlite` came with 22. */
const since = { './sqlite': 22 }

const loaded = []
for (const [door, target] of Object.entries(exports)) {
  if (typeof target === 'string' || major < (since[door] ?? 0)) continue
  // What runs in a thread of the library's own expects to be there.
  if (door === './threads/worker') continue
  const names = Object.keys(await import(door.replace('.', 'holdfast')))
  assert(names.length > 0, door)
  loaded.push(door)
}

const { pipeline, retry, timeout, circuitBreaker } = await import('holdfast')
let calls = 0
const answer = await pipeline(
  'smoke',
  retry({ baseDelay: 1 }),
  circuitBreaker(),
  timeout(1_000),
).execute(async () => {
  if (++calls < 3) throw new Error('not yet')
  return calls
})
assert.equal(answer, 3)

const { resilientFetch } = await import('holdfast/fetch')
let asked = 0
const server = createServer((_request, response) => {
  response.statusCode = ++asked < 3 ? 503 : 200
  response.end('hello')
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const fetch = resilientFetch({ retry: { baseDelay: 1 } })
const response = await fetch(`http://127.0.0.1:${server.address().port}/`)
assert.equal(await response.text(), 'hello')
assert.equal(asked, 3)
assert(response instanceof Response)
server.close()
server.closeAllConnections()

console.log(`${process.version}: ${loaded.length} doors load, and a request comes through`)
