/** A throttle before a dependency that accepts everything, and before one that accepts nothing. */
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'

const down = async () => {
  throw new Error('out of quota')
}

/** @type {import('./harness/types.js').Work['setup']} */
const rejecting = async () => {
  const policy = holdfast.adaptiveThrottle({ random: () => 0 })
  for (let call = 0; call < 10; call++) await policy.execute(down).catch(() => {})
  return [
    { ...bare(), expect: (/** @type {unknown} */ outcome) => outcome === undefined },
    {
      subject: 'holdfast',
      call: 'policy.execute(fn)',
      scope: { policy, fn: async () => 1 },
      expect: (/** @type {any} */ error) => error.code === 'ERR_THROTTLED',
    },
  ]
}

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'accepting',
    title: 'adaptive throttle, everything accepted',
    bytes: true,
    setup: () => [
      bare(),
      ...floors(),
      {
        subject: 'holdfast',
        call: 'policy.execute(fn)',
        scope: { policy: holdfast.adaptiveThrottle(), fn: async () => 1 },
      },
    ],
  },
  {
    id: 'rejecting',
    title: 'adaptive throttle, rejection caught',
    loop: 'caught',
    setup: rejecting,
  },
]
