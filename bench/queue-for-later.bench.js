/** A step that queues, while nothing fails: it is not there until it is needed. */
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'

const queue = holdfast.memoryQueue({ name: 'orders' })
const later = () => holdfast.queueForLater(queue, { id: () => 'order-7' })
const breaker = () => holdfast.circuitBreaker()
const callee = () => async () => 1

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'success',
    title: 'queue for later, not needed',
    bytes: true,
    setup: () => [
      bare(),
      ...floors(),
      {
        subject: 'holdfast',
        variant: 'without the step',
        call: 'policy.execute(fn)',
        scope: {
          policy: holdfast.pipeline(
            'orders',
            holdfast.fallback(() => 0),
            breaker(),
          ),
          fn: callee(),
        },
      },
      {
        subject: 'holdfast',
        call: 'policy.execute(fn)',
        scope: {
          policy: holdfast.pipeline('orders', holdfast.fallback(later()), breaker()),
          fn: callee(),
        },
      },
    ],
  },
  {
    id: 'queued',
    title: 'queue for later, a call is refused and its id is known',
    expect: (outcome) => outcome === 1 || holdfast.isQueued(outcome),
    setup: () => {
      const open = breaker()
      open.isolate()
      return [
        bare(),
        {
          subject: 'holdfast',
          call: 'policy.execute(fn)',
          scope: {
            policy: holdfast.pipeline('orders', holdfast.fallback(later()), open),
            fn: callee(),
          },
        },
      ]
    },
  },
]
