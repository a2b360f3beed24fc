/**
 * `holdfast/node`: deadlines that travel. What is set at the edge of a service is inherited by every
 * policy, pool and queue that works for the same request, and goes along to the next service.
 */
export { ATTEMPT_HEADER, DEADLINE_HEADER, type Travelled } from '../http/travel.ts'
export {
  outgoingHeaders,
  remainingTime,
  type SurroundingsOptions,
  withDeadline,
  withoutDeadline,
  withSurroundings,
} from './surroundings.ts'
