/** The answer to a request that was not worked on: 503 or 429, when to come back, and why, in words. */
import type { Refusal } from './contract.ts'
import type { Settings } from './options.ts'

/** The numbers of the moment. */
export interface RefusalFacts {
  readonly waited: number
  readonly running: number
  readonly queued: number
  readonly chance: number
  /** How long the client has to wait for its own sake, in ms. */
  readonly wait?: number | undefined
}

const WHY = {
  full: 'the server is full',
  'waited-too-long': 'no place became free in time',
  displaced: 'more important requests came',
  'deadline-passed': 'the caller has given up',
  pressure: 'the process is under pressure',
  'client-limit': 'this client has asked for too much',
  closing: 'the server is shutting down',
} as const satisfies Record<Refusal['reason'], string>

export function refusalOf(
  { name, retryAfter }: Pick<Settings, 'name' | 'retryAfter'>,
  reason: Refusal['reason'],
  { waited, running, queued, chance, wait }: RefusalFacts,
): Refusal {
  // Whoever is refused together must not come back together.
  const seconds = Math.max(1, Math.ceil((wait ?? retryAfter * (1 + chance)) / 1_000))
  const isClients = reason === 'client-limit'
  const headers: Record<string, string> = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'retry-after': String(seconds),
  }
  // A connection that stays open would bring the next request to a server that is going away.
  if (reason === 'closing') headers['connection'] = 'close'
  const error = {
    code: isClients ? 'ERR_RATE_LIMITED' : 'ERR_OVERLOADED',
    server: name,
    reason,
    message: `${WHY[reason]} (${running} running, ${queued} waiting, this one for ${Math.round(waited)} ms); not begun, retry after ${seconds} s`,
  }
  return { reason, status: isClients ? 429 : 503, headers, body: `${JSON.stringify({ error })}\n` }
}
