/**
 * Health and readiness for whoever asks from outside: an orchestrator, a load balancer. Alive says that
 * the process can answer at all; ready says that it should be sent requests.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { inNextTurn, systemClock } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import { type Checks, duration, fn, optional, readOptions } from '../../core/options.ts'
import type { PolicyLike } from '../../core/policy.ts'
import { type Circuit, circuitsOf, type HasCircuits } from '../../pipeline/health.ts'

/** Options of {@link healthChecks}. */
export interface HealthOptions {
  /** Pipelines, policies, `keyed` ones and doors to HTTP clients whose circuits are told: an open one makes the service degraded, not unready. */
  readonly policies?: readonly Watched[] | undefined
  /** Those without which no request can be answered: an open circuit in one makes the service unready. */
  readonly critical?: readonly Watched[] | undefined
  /** Further checks by name; one that throws, rejects, or gives `false` makes the service unready. */
  readonly checks?: Readonly<Record<string, () => unknown>> | undefined
  /** Checks by name of what nothing but a restart mends; one that throws, rejects, or gives `false` makes `/livez` say so. @default none */
  readonly alive?: Readonly<Record<string, () => unknown>> | undefined
  /** Longest time for one check, in ms. @default 1_000 */
  readonly timeout?: number | undefined
  /** A server that is going away is not ready any more; one that cannot say so (it throws) neither. @default none */
  readonly closing?: (() => boolean) | undefined
}

/** Whatever has circuits, as far as health goes. */
type Watched = PolicyLike<unknown> | HasCircuits

/** How the service is doing. */
export interface Health {
  readonly status: 'ready' | 'degraded' | 'unready'
  readonly circuits: readonly Circuit[]
  /** `true`, or what is wrong, by check. */
  readonly checks: Readonly<Record<string, true | string>>
}

/** Answers questions after health. */
export interface HealthChecks {
  /** Whether requests should be sent here. */
  ready(): Promise<Health>
  /** Answers `GET` and `HEAD` of `/livez` and `/readyz` with JSON, 200 or 503; false for every other request, left untouched. */
  handle(request: IncomingMessage, response: ServerResponse): boolean
}

const known: Checks<HealthOptions> = {
  policies: optional({
    expected: 'a list of policies, or of what has circuits',
    fault: (value) => listFault(value),
  }),
  critical: optional({
    expected: 'a list of policies, or of what has circuits',
    fault: (value) => listFault(value),
  }),
  checks: optional({ expected: 'functions by name', fault: (value) => recordFault(value) }),
  alive: optional({ expected: 'functions by name', fault: (value) => recordFault(value) }),
  timeout: optional(duration({ zero: false })),
  closing: optional(fn),
}

/**
 * Health and readiness of a service, fed by the circuits of its pipelines.
 *
 * An open circuit alone does not make it unready: the service can still answer, degraded, and taking it
 * out of the load balancer would turn one broken dependency into a broken service. Name those policies
 * as `critical` without which it cannot answer anything.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts
 * import { circuitBreaker, pipeline } from 'holdfast'
 * import { healthChecks } from 'holdfast/server'
 *
 * const payment = circuitBreaker({ name: 'payment' })
 * const health = healthChecks({ policies: [pipeline('orders', payment)] })
 * payment.isolate()
 * const { status, circuits } = await health.ready()
 * status // => 'degraded'
 * circuits.map(({ name, state }) => `${name}: ${state}`) // => ['payment: isolated']
 * ```
 */
export function healthChecks(options: HealthOptions = {}): HealthChecks {
  const given = readOptions('healthChecks', options, known)
  const { policies = [], critical = [], checks = {}, alive = {} } = given
  const own = {
    ...given,
    policies: [...policies],
    critical: [...critical],
    checks: Object.entries(checks),
    alive: Object.entries(alive),
  }
  return {
    ready: () => readiness(own),
    handle(request, response) {
      if (request.method !== 'GET' && request.method !== 'HEAD') return false
      const path = request.url?.split('?', 1)[0]
      if (path !== '/livez' && path !== '/readyz') return false
      const answer = path === '/livez' ? liveness(own) : readiness(own)
      answer.then((health) => {
        const isWell = health.status !== 'unready' && health.status !== 'stuck'
        respond(response, isWell ? 200 : 503, health)
      })
      return true
    },
  }
}

/** The options as they were when they were given. */
interface Asked {
  readonly policies: readonly Watched[]
  readonly critical: readonly Watched[]
  readonly checks: readonly NamedCheck[]
  readonly alive: readonly NamedCheck[]
  readonly timeout?: number | undefined
  readonly closing?: (() => boolean) | undefined
}

type NamedCheck = readonly [name: string, check: () => unknown]

/** Without checks of its own a process that can answer is alive. */
async function liveness({ alive, timeout }: Asked): Promise<Liveness> {
  if (alive.length === 0) return { status: 'alive' }
  const checks = await resultsOf(alive, timeout)
  return { status: areWell(checks) ? 'alive' : 'stuck', checks }
}

interface Liveness {
  readonly status: 'alive' | 'stuck'
  readonly checks?: Health['checks']
}

/** Never rejects: whoever asks is a machine that takes an unanswered question for a dead process. */
async function readiness(asked: Asked): Promise<Health> {
  const { policies, critical, checks, timeout } = asked
  const vital = critical.flatMap(circuitsOf)
  const circuits = [...vital, ...policies.flatMap(circuitsOf)]
  const found = await resultsOf(checks, timeout)
  const down = vital.some(({ state }) => state === 'open' || state === 'isolated')
  if (!areWell(found) || down || isClosing(asked))
    return { status: 'unready', circuits, checks: found }
  const degraded = circuits.some(({ state }) => state !== 'closed')
  return { status: degraded ? 'degraded' : 'ready', circuits, checks: found }
}

async function resultsOf(
  checks: readonly NamedCheck[],
  timeout: number = 1_000,
): Promise<Health['checks']> {
  const results = await Promise.all(
    checks.map(async ([name, check]) => [name, await outcomeOf(check, timeout)]),
  )
  return Object.fromEntries(results)
}

function areWell(checks: Health['checks']): boolean {
  return Object.values(checks).every((result) => result === true)
}

function isClosing({ closing }: Asked): boolean {
  try {
    return closing?.() === true
  } catch {
    return true
  }
}

/** A check that hangs must not make the question after health hang. */
async function outcomeOf(check: () => unknown, limit: number): Promise<true | string> {
  let stop = (): void => {}
  const late = new Promise<string>((resolve) => {
    const timer = systemClock.setTimer(
      () => inNextTurn(systemClock, () => resolve(`no answer within ${limit} ms`)),
      limit,
    )
    stop = () => timer.cancel()
  })
  const asked = (async () => ((await check()) === false ? 'said no' : true))()
  try {
    return await Promise.race([asked, late])
  } catch (error) {
    return describeError(error)
  } finally {
    stop()
  }
}

function respond(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed || response.headersSent) return
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  })
  response.end(`${JSON.stringify(body)}\n`)
}

function listFault(value: unknown): 'type' | undefined {
  const isPolicy = (entry: unknown): boolean => {
    const { execute, circuits } = (entry ?? {}) as { execute?: unknown; circuits?: unknown }
    return typeof execute === 'function' || typeof circuits === 'function'
  }
  return Array.isArray(value) && value.every(isPolicy) ? undefined : 'type'
}

function recordFault(value: unknown): 'type' | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'type'
  return Object.values(value).every((check) => typeof check === 'function') ? undefined : 'type'
}
