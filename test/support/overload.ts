/** A server in a process of its own, and load from a thread, at a given rate. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const server = fileURLToPath(new URL('./overload-server.mjs', import.meta.url))
const cannon = fileURLToPath(new URL('./overload-cannon.mjs', import.meta.url))

/** What a caller saw. */
export interface Seen {
  /** Answers with status 200 within the caller's patience, per second. */
  readonly goodput: number
  /** Their 99th percentile, in ms. */
  readonly p99: number
  readonly refused: number
  /** Callers whose patience ended. */
  readonly gaveUp: number
}

/** Runs a load against a fresh server. */
export async function underLoad(load: {
  readonly bare?: boolean
  readonly rate: number
  readonly seconds: number
}): Promise<Seen> {
  const child: ChildProcess = fork(server, load.bare ? ['--bare'] : [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  try {
    const [port] = (await once(child, 'message')) as [number]
    const worker = new Worker(cannon, { workerData: { ...load, url: `http://127.0.0.1:${port}/` } })
    const [seen] = (await once(worker, 'message')) as [Seen]
    await worker.terminate()
    return seen
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}
