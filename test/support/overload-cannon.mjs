/**
 * Callers that do not wait for each other: they come at random at a given rate, whatever the answers,
 * and each gives up after a second. In a thread, so that nobody slows them down.
 */
import { Agent, request } from 'node:http'
import { parentPort, workerData } from 'node:worker_threads'

const { url, rate, seconds } = workerData
const agent = new Agent({ keepAlive: true })
const times = []
let refused = 0
let gaveUp = 0
let open = 0
let done = () => {}

function call() {
  open++
  const began = performance.now()
  const asked = request(url, { agent, timeout: 1_000 }, (answer) => {
    answer.resume()
    answer.on('end', () => {
      if (answer.statusCode === 200) times.push(performance.now() - began)
      else refused++
    })
  })
  const patience = setTimeout(() => asked.destroy(new Error('gave up')), 1_000)
  asked.on('error', () => gaveUp++)
  asked.on('close', () => {
    clearTimeout(patience)
    if (--open === 0) done()
  })
  asked.end()
}

/** A generator of numbers that are the same in every run (mulberry32). */
let state = 7
function random() {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
}

const began = performance.now()
let next = 0
await new Promise((resolve) => {
  const tick = setInterval(() => {
    const now = (performance.now() - began) / 1_000
    if (now >= seconds) {
      clearInterval(tick)
      resolve()
      return
    }
    // As many as are due: exponential gaps, the arrivals of callers who know nothing of each other.
    while (next <= now) {
      call()
      next -= Math.log(1 - random()) / rate
    }
  }, 2)
})
await new Promise((resolve) => {
  done = resolve
  if (open === 0) resolve()
})
agent.destroy()
times.sort((one, other) => one - other)
parentPort.postMessage({
  goodput: times.length / seconds,
  p99: times[Math.floor(times.length * 0.99)] ?? 0,
  refused,
  gaveUp,
})
