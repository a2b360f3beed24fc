/** A server that goes away when it is told to. `/slow` takes as long as the second argument says. */
import { createServer } from 'node:http'
import { gracefulShutdown, healthChecks, overloadGuard } from 'holdfast/server'

const [timeout, work] = process.argv.slice(2).map(Number)
const guard = overloadGuard()
const health = healthChecks({ closing: () => shutdown.closing })
const handle = guard.wrap((_request, response) => {
  process.send({ began: true })
  setTimeout(() => response.end('done'), work)
})
const server = createServer((request, response) => {
  if (!health.handle(request, response)) handle(request, response)
})
const shutdown = gracefulShutdown(server, {
  guard,
  // Long enough for an overloaded machine to notice.
  delay: 2_000,
  timeout,
  onClosed: () => process.send({ closed: true }),
})
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
const report = await shutdown.done
process.send({ graceful: report.graceful })
process.disconnect()
