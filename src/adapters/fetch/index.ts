/**
 * The door `holdfast/fetch`.
 */
export type { Watchable } from '../http/door.ts'
export type { HttpLevels, OwnPolicy, RouteLevels } from '../http/levels.ts'
export type { HttpOptions, RequestFacts } from '../http/options.ts'
export { HttpStatusError } from '../http/status-error.ts'
export { type ResilientFetch, type ResilientRequestInit, resilientFetch } from './fetch.ts'
export type {
  FetchFunction,
  RequestOverrides,
  ResilientFetchOptions,
} from './options.ts'
