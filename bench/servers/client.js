/**
 * A client in a process of its own: fires a burst of requests when it is told to, and says how many went
 * well. It speaks on bare sockets, for a client that takes more than the server would hide what that takes.
 */
import { connect } from 'node:net'

const [width] = process.argv.slice(2).map(Number)
const request = 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: keep-alive\r\n\r\n'
const wanted = '{"one":1}'
/** @type {Map<number, import('node:net').Socket[]>} */
const sockets = new Map()

/** @param {number} port */
function socketsTo(port) {
  const known = sockets.get(port)
  if (known !== undefined) return known
  const made = Array.from({ length: width }, () => connect(port, '127.0.0.1').setNoDelay())
  sockets.set(port, made)
  return made
}

process.on('message', async (/** @type {{ port: number, requests: number }} */ order) => {
  let left = order.requests
  let good = 0
  const lane = (/** @type {import('node:net').Socket} */ socket) =>
    new Promise((resolve, reject) => {
      let answer = ''
      const next = () => (left-- > 0 ? socket.write(request) : end())
      const hear = (/** @type {Buffer} */ piece) => {
        answer += piece.latin1Slice()
        if (!answer.endsWith(wanted)) return
        if (answer.startsWith('HTTP/1.1 200 ')) good++
        answer = ''
        next()
      }
      const end = () => {
        socket.off('data', hear).off('error', reject)
        resolve(undefined)
      }
      socket.on('data', hear).on('error', reject)
      next()
    })
  await Promise.all(socketsTo(order.port).map(lane))
  process.send?.(good)
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
