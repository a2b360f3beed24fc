/**
 * The door `holdfast/undici`: an interceptor for the dispatchers of the user's own undici 7 or 8.
 *
 * Nothing of undici is imported: importing a second copy beside the platform's breaks its `fetch`
 * (nodejs/undici#5500). A dispatcher is whatever takes options and a handler.
 */
import type { HoldfastEvent, Listener } from '../../core/events.ts'
import { readOptions } from '../../core/options.ts'
import { HttpDoor, KEY, type Watchable } from '../http/door.ts'
import { canReplay } from '../http/node-body.ts'
import { checkHttpOptions, type HttpOptions, httpChecks } from '../http/options.ts'
import { Attempt } from './attempt.ts'
import { Caller } from './caller.ts'
import type { DispatchHandler } from './handler.ts'
import { type DispatchOptions, describeDispatch, withHeaders } from './request.ts'

/** Options of {@link resilientInterceptor}. */
export interface ResilientInterceptorOptions extends HttpOptions {}

/** What `dispatcher.compose` takes. */
export interface ResilientInterceptor extends Watchable {
  <D extends (options: never, handler: never) => boolean>(dispatch: D): D
}

/**
 * Puts the requests of an undici dispatcher under protection: `agent.compose(resilientInterceptor())`.
 *
 * Levels, retries and options are those of `resilientFetch`. What is not the last answer is read and
 * dropped, up to 64 KiB; the body of the last one is passed on as it comes. A `throwOnError` or a
 * `bodyTimeout` of undici's own holds as before.
 *
 * **Use it** for `request`, `stream`, `pipeline` and `fetch` of your own undici, 7 or 8.
 * **Not for** the platform's `fetch` with a dispatcher of another undici; that is `resilientFetch`.
 *
 * @throws TypeError or RangeError at construction, naming option, value and range.
 *
 * @example
 * ```ts no-run
 * import { resilientInterceptor } from 'holdfast/undici'
 *
 * declare const undici: { Agent: new () => { compose(...interceptors: unknown[]): unknown } } // import
 *
 * const dispatcher = new undici.Agent().compose(resilientInterceptor())
 * ```
 */
export function resilientInterceptor(
  options: ResilientInterceptorOptions = {},
): ResilientInterceptor {
  const given = readOptions('resilientInterceptor', options, httpChecks)
  checkHttpOptions('resilientInterceptor', given)
  const door = new HttpDoor(given)
  const intercept = (dispatch: Dispatch): Dispatch => {
    return (request, handler) => {
      if (request.method === 'CONNECT' || request.upgrade) return dispatch(request, handler)
      void run(door, dispatch, request, handler)
      return true
    }
  }
  return Object.assign(intercept as unknown as ResilientInterceptor, {
    stats: () => door.stats(),
    circuits: () => door.circuits(),
    describe: (address: string | URL) => door.describe(address),
    subscribe: (listener: Listener<HoldfastEvent>) => door.subscribe(listener),
  })
}

type Dispatch = (options: DispatchOptions, handler: DispatchHandler) => boolean

/** Never rejects: the handler hears of everything. */
async function run(
  door: HttpDoor,
  dispatch: Dispatch,
  request: DispatchOptions,
  handler: DispatchHandler,
): Promise<void> {
  const caller = new Caller(handler)
  const { clock } = door
  const began = clock.now()
  try {
    const facts = describeDispatch(request, caller.signal)
    const key = door.keyFor(facts, undefined)
    const sent = key === undefined ? request : withHeaders(request, [[KEY, key]])
    caller.begin()
    const attempt = await door.send<Attempt>({
      facts,
      repeatable: door.isRepeatable(facts, undefined, key),
      replayable: () => canReplay(request.body),
      send: (attempt, name) => {
        const { aborter, deadline } = attempt
        const made = new Attempt(caller, aborter, { name, clock, began, deadline })
        const told = door.telling(attempt)
        const untold = told.filter(([header]) => facts.header(header) === null)
        return made.send(() => dispatch(withHeaders(sent, untold), made))
      },
    })
    attempt.passOn()
  } catch (error) {
    caller.fail(error)
  }
}
