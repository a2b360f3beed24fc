/**
 * What a task costs on its way to a thread and back, beside bare piscina and a bare worker: the smallest
 * possible answer, a small object, and sixteen callers on two threads. Both sides of the border are paid.
 */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { threadPools } from '../dist/adapters/threads/index.js'

const module = new URL('subjects/echo.js', import.meta.url)
const order = { id: 42, items: ['tea', 'cups'], total: 12.5 }
const many = 16

/** A worker and nothing else: one message there, one back, matched by their number. */
function bareWorker() {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
    parentPort.on('message', ([id, task]) => parentPort.postMessage([id, task]))`,
    { eval: true },
  )
  /** @type {Map<number, (value: unknown) => void>} */
  const waiting = new Map()
  let last = 0
  worker.on('message', ([id, value]) => {
    waiting.get(id)?.(value)
    waiting.delete(id)
  })
  return {
    run: (/** @type {unknown} */ task) =>
      new Promise((resolve) => {
        waiting.set(++last, resolve)
        worker.postMessage([last, task])
      }),
    end: () => worker.terminate(),
  }
}

/** @param {unknown} task @param {number} threads */
async function subjects(task, threads) {
  const workers = Array.from({ length: threads }, bareWorker)
  let turn = 0
  const bare = (/** @type {unknown} */ one) => workers[turn++ % threads]?.run(one)
  const shape = { module, threads, minThreads: threads, maxQueue: 1_000 }
  const pools = threadPools({ work: shape }, { Piscina })
  const options = { filename: fileURLToPath(module), minThreads: threads, maxThreads: threads }
  const modes = /** @type {const} */ (['sync', 'async', 'disabled'])
  const piscinas = modes.map((atomics) => new Piscina({ ...options, atomics }))
  await pools.warmUp()
  const { signal } = new AbortController()
  const end = () =>
    Promise.all([
      pools.close(),
      ...workers.map((one) => one.end()),
      ...piscinas.map((one) => one.destroy()),
    ])
  return {
    cases: [
      {
        subject: 'bare',
        variant: 'worker, postMessage',
        call: 'bare(task)',
        scope: { bare, task, many },
      },
      {
        subject: 'holdfast',
        call: `pools.run('work', task)`,
        scope: { pools, task, many },
      },
      {
        subject: 'holdfast',
        variant: 'with a signal',
        call: `pools.run('work', task, { signal })`,
        scope: { pools, task, signal, many },
      },
      ...modes.map((mode, n) => ({
        subject: 'piscina',
        variant: `atomics: ${mode}`,
        call: 'piscina.run(task)',
        scope: { piscina: piscinas[n], task, many },
      })),
    ],
    end,
  }
}

/** @param {unknown} task @param {number} threads */
const work = (task, threads) => {
  /** @type {() => unknown} */
  let end = () => {}
  return {
    // A task takes so long that few fit into a sample; these are enough for the compilers to be done.
    sample: 200,
    rounds: 11,
    setup: async () => {
      const made = await subjects(task, threads)
      end = made.end
      return made.cases
    },
    teardown: () => end(),
  }
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'number',
    title: 'a thread, there and back, a number',
    expect: (answer) => answer === 42,
    ...work(42, 1),
  },
  {
    id: 'object',
    title: 'a thread, there and back, a small object',
    expect: (answer) => answer.id === 42,
    ...work(order, 1),
  },
  {
    id: 'together',
    title: 'two threads, 16 callers at a time, a small object, per task',
    loop: 'together',
    ops: () => many,
    expect: (answers) => answers.length === many && answers[7].id === 42,
    ...work(order, 2),
  },
]
