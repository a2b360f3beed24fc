/** A server whose event loop or heap is in trouble; says how it refuses. The first argument says which. */
import { createServer, get } from 'node:http'
import { overloadGuard } from 'holdfast/server'

const trouble = process.argv[2]
const guard = overloadGuard({
  maxEventLoopDelay: 100,
  maxHeapUsed: 0.35,
  // Whatever the excess is: refused.
  random: () => 0,
  priority: ({ url }) => (url === '/vip' ? 1 : 0),
})
const server = createServer(guard.wrap((_request, response) => response.end('ok')))
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const ask = (path) =>
  new Promise((resolve) => {
    get({ port: server.address().port, path, agent: false }, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve(body === 'ok' ? 'ok' : JSON.parse(body).error.reason))
    })
  })

const held = []
let blocking = trouble === 'loop'
async function block() {
  while (blocking) {
    const end = performance.now() + 300
    while (performance.now() < end);
    await pause(1)
  }
}

/** On a machine that is busy with other things the start itself may be pressure. */
async function well() {
  while ((await ask('/')) !== 'ok') await pause(50)
  return 'ok'
}

server.listen(0, '127.0.0.1', async () => {
  const before = await well()
  const blocked = block()
  if (trouble === 'heap') for (let n = 0; n < 420; n++) held.push(new Array(16_384).fill(n))
  while ((await ask('/')) === 'ok') await pause(50)
  const during = new Set()
  for (let n = 0; n < 5; n++) during.add(await ask('/'))
  const spared = await ask('/vip')
  const { eventLoopDelay, heapUsed } = guard.stats()
  blocking = false
  held.length = 0
  globalThis.gc?.()
  await blocked
  const after = await well()
  process.send({ before, during: [...during], spared, after, eventLoopDelay, heapUsed })
  // Nothing of the guard's may keep the process alive, although nobody closes it.
  process.disconnect()
  server.close()
})
