/**
 * A server over a backend that can do ten things at a time, each in 100 ms: 100 requests a second and no
 * more. Started as a process of its own; `--bare` leaves the guard away. Says its port when it listens.
 */
import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { bulkhead } from 'holdfast'
import { overloadGuard } from 'holdfast/server'

const backend = bulkhead({ maxConcurrent: 10, maxQueue: 1_000_000, maxWait: Infinity })
const work = async (_request, response) => {
  await backend.execute(() => pause(100))
  response.end('done')
}

const guard = overloadGuard({ maxConcurrent: 10, maxQueue: 5, maxWait: 100 })
const server = createServer(process.argv.includes('--bare') ? work : guard.wrap(work))
server.listen(0, '127.0.0.1', () => process.send(server.address().port))
process.on('message', () => process.send(guard.stats()))
