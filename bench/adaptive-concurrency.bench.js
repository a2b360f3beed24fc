/** A limit that adapts, with room: what it costs to measure each call. */
import * as cockatiel from './subjects/cockatiel.js'
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'

/** @param {import('../dist/index.js').ConcurrencyAlgorithm} algorithm */
const ours = (algorithm) => ({
  subject: 'holdfast',
  variant: algorithm,
  call: 'policy.execute(fn)',
  scope: { policy: holdfast.adaptiveConcurrency({ algorithm }), fn: async () => 1 },
})

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'free',
    title: 'adaptive concurrency with room',
    bytes: true,
    setup: () => [
      bare(),
      ...floors(),
      ours('vegas'),
      ours('gradient2'),
      ours('aimd'),
      {
        subject: 'holdfast',
        variant: 'bulkhead, fixed',
        call: 'policy.execute(fn)',
        scope: { policy: holdfast.bulkhead({ maxConcurrent: 20 }), fn: async () => 1 },
      },
      {
        subject: 'cockatiel',
        variant: 'bulkhead, fixed',
        call: 'policy.execute(fn)',
        scope: { policy: cockatiel.bulkhead(20, 0), fn: async () => 1 },
      },
    ],
  },
]
