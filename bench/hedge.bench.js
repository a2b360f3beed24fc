/** A hedge whose first call is quick enough, as nearly all of them are: nothing further is sent. */
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'

/**
 * @param {string} variant
 * @param {import('../dist/index.js').HedgeOptions} options
 */
const ours = (variant, options) => ({
  subject: 'holdfast',
  variant,
  call: 'policy.execute(fn)',
  scope: { policy: holdfast.hedge(options), fn: async () => 1 },
})

/**
 * What is written by hand, without the losers' signals, budget and statistics.
 *
 * @param {() => Promise<unknown>} fn
 */
const handWritten = (fn) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => fn().then(resolve, reject), 1_000)
    fn().then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'in-time',
    title: 'hedge, answer in time',
    bytes: true,
    setup: () => [
      bare(),
      ...floors(),
      {
        subject: 'bare',
        variant: 'hand-written, a timer per call',
        call: 'handWritten(fn)',
        scope: { handWritten, fn: async () => 1 },
      },
      ours('delay, no budget', { delay: 1_000, budget: false }),
      ours('delay', { delay: 1_000 }),
      ours('percentile', { percentile: 0.95, delay: 1_000 }),
    ],
  },
]
