/** Options of an overload guard, and their defaults. */
import {
  type Checks,
  chance,
  count,
  duration,
  fn,
  number,
  oneOf,
  optional,
  positiveInteger,
  rate,
  readOptions,
  string,
} from '../../core/options.ts'
import { type RandomSource, systemRandom } from '../../core/random.ts'
import { DEADLINE_HEADER } from '../http/travel.ts'
import { type ClientLimit, clientLimitCheck } from './client-rates.ts'
import type { GuardedRequest } from './request.ts'

/** Options of {@link overloadGuard}. */
export interface OverloadGuardOptions {
  /** Names it in events, statistics and refusals. @default 'server' */
  readonly name?: string | undefined
  /** Requests that are worked on at the same time, 1 at least. @default 100 */
  readonly maxConcurrent?: number | undefined
  /** Requests that may wait in the queue; 0 refuses at once. @default 100 */
  readonly maxQueue?: number | undefined
  /** Longest time in the queue, in ms; a queue that is not empty for so long is an overload. @default 500 */
  readonly maxWait?: number | undefined
  /** Longest time in the queue during an overload, in ms, at most `maxWait`. @default 20 */
  readonly targetWait?: number | undefined
  /** Longest time for one request, queue included, in ms; what works for it inherits it as a deadline, and a caller's own may be earlier. `Infinity` for no limit. @default Infinity */
  readonly maxTime?: number | undefined
  /** How important a request is: larger first, -10 to 10; above 0 it is spared when the process is under pressure. @default 0 for all */
  readonly priority?: ((request: GuardedRequest) => number) | undefined
  /** How much one client may ask for; the rest is refused with 429. @default no limit */
  readonly perClient?: ClientLimit | undefined
  /** Requests that are let through uncounted: health checks, metrics. @default none */
  readonly exempt?: ((request: GuardedRequest) => boolean) | undefined
  /** What to do with a request whose caller has given up: `'measure'` only counts it. @default 'measure' */
  readonly deadlines?: 'enforce' | 'measure' | 'ignore' | undefined
  /** Most requests refused for their deadline, as a share of all in ten seconds, 0 to 1. @default 0.2 */
  readonly maxDeadlineRefusals?: number | undefined
  /** The header with the ms that the caller has left. @default 'x-deadline-ms' */
  readonly deadlineHeader?: string | undefined
  /** Whether retries are left to a caller that says it makes them (`x-attempt`). @default 'trust' */
  readonly callerRetries?: 'trust' | 'ignore' | undefined
  /** How late the event loop may be, in ms, before requests are refused; `Infinity` for no limit. @default 200 */
  readonly maxEventLoopDelay?: number | undefined
  /** Share of the heap limit that may be in use before requests are refused, above 0 to 1; 1 for no limit. @default 0.95 */
  readonly maxHeapUsed?: number | undefined
  /** What refused callers are told to wait at least, in ms; each is told a little else. @default 1_000 */
  readonly retryAfter?: number | undefined
  /** Where chance comes from. @default systemRandom */
  readonly random?: RandomSource | undefined
}

const DEFAULTS = {
  name: 'server',
  maxConcurrent: 100,
  maxQueue: 100,
  maxWait: 500,
  targetWait: 20,
  maxTime: Number.POSITIVE_INFINITY,
  deadlines: 'measure',
  maxDeadlineRefusals: 0.2,
  deadlineHeader: DEADLINE_HEADER,
  callerRetries: 'trust',
  maxEventLoopDelay: 200,
  maxHeapUsed: 0.95,
  retryAfter: 1_000,
  random: systemRandom,
} as const

/** The options in force. */
export type Settings = {
  readonly [K in Exclude<keyof OverloadGuardOptions, Chosen>]-?: NonNullable<
    OverloadGuardOptions[K]
  >
} & Pick<OverloadGuardOptions, Chosen>

/** What has no default that could be written down. */
type Chosen = 'priority' | 'perClient' | 'exempt'

/** RFC 9110, section 5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

const checks: Checks<OverloadGuardOptions> = {
  name: optional(string),
  maxConcurrent: optional(positiveInteger),
  maxQueue: optional(count(0)),
  maxWait: optional(duration({ zero: false })),
  targetWait: optional(duration()),
  maxTime: optional(duration({ zero: false, infinite: true })),
  priority: optional(fn),
  perClient: optional(clientLimitCheck),
  exempt: optional(fn),
  deadlines: optional(oneOf(['enforce', 'measure', 'ignore'])),
  maxDeadlineRefusals: optional(number(0, 1)),
  deadlineHeader: optional({
    expected: 'the name of a header',
    fault: (value) =>
      typeof value !== 'string' ? 'type' : TOKEN.test(value) ? undefined : 'range',
  }),
  callerRetries: optional(oneOf(['trust', 'ignore'])),
  maxEventLoopDelay: optional(duration({ zero: false, infinite: true })),
  maxHeapUsed: optional(rate({ zero: false })),
  retryAfter: optional(duration()),
  random: optional(chance),
}

/** @throws TypeError or RangeError, naming the option, its value and its range. */
export function readGuardOptions(options: OverloadGuardOptions | undefined): Settings {
  const given = readOptions('overloadGuard', options, checks)
  const settings = { ...DEFAULTS, ...given } as Settings
  const { maxWait } = settings
  if (given.targetWait !== undefined && given.targetWait > maxWait) {
    throw new RangeError(
      `overloadGuard: targetWait must be at most maxWait, ${maxWait} ms, but was ${given.targetWait}`,
    )
  }
  return {
    ...settings,
    targetWait: Math.min(settings.targetWait, maxWait),
    deadlineHeader: settings.deadlineHeader.toLowerCase(),
  }
}
