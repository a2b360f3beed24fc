/** One timeout around a function that answers in time. */
import pTimeout from 'p-timeout'
import * as cockatiel from './subjects/cockatiel.js'
import { bare, floors } from './subjects/floors.js'
import * as holdfast from './subjects/holdfast.js'
import { limitFloor } from './subjects/limit-floor.js'
import * as opossum from './subjects/opossum.js'

const milliseconds = 2_000

/** The timeout that everybody writes by hand. */
const raw = (/** @type {() => Promise<unknown>} */ fn) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('timed out')), milliseconds)
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

/**
 * @param {keyof typeof cockatiel.timeouts} variant
 * @returns {import('./harness/types.js').Case}
 */
const cockatielCase = (variant) => ({
  subject: 'cockatiel',
  variant: variant === 'default wrap' ? 'default' : variant,
  call: 'policy.execute(fn)',
  scope: {
    policy: cockatiel.timeout(milliseconds, cockatiel.timeouts[variant]),
    fn: async () => 1,
  },
})

/** @type {import('./harness/types.js').Work[]} */
export const works = [
  {
    id: 'in-time',
    title: 'timeout, answered in time',
    bytes: true,
    setup: () => {
      const breaker = opossum.breaker(async () => 1, { timeout: milliseconds })
      return [
        bare(),
        ...floors(),
        limitFloor(),
        {
          subject: 'floor:setTimeout',
          variant: 'new Promise and setTimeout',
          call: 'raw(fn)',
          scope: { raw, fn: async () => 1 },
        },
        {
          subject: 'holdfast',
          call: 'policy.execute(fn)',
          scope: { policy: holdfast.timeout(milliseconds), fn: async () => 1 },
        },
        cockatielCase('default wrap'),
        cockatielCase('aggressive, abortOnReturn: false'),
        cockatielCase('cheapest options'),
        {
          subject: 'opossum',
          call: 'breaker.fire()',
          scope: { breaker },
          close: () => breaker.shutdown(),
        },
        {
          subject: 'p-timeout',
          call: 'pTimeout(fn(), options)',
          scope: { pTimeout, options: { milliseconds }, fn: async () => 1 },
        },
      ]
    },
  },
]
