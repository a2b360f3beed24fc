/** The five policies in every order. */
import {
  type Bulkhead,
  bulkhead,
  type Clock,
  circuitBreaker,
  fallback,
  type Pipeline,
  type Policy,
  pipeline,
  retry,
  timeout,
} from 'holdfast'
import { type VirtualClock, virtualClock } from 'holdfast/testing'

const kinds = ['fallback', 'retry', 'breaker', 'bulkhead', 'timeout'] as const
export type Kind = (typeof kinds)[number]

export interface Stack {
  readonly clock: VirtualClock
  readonly policy: Pipeline<unknown>
  readonly members: readonly Policy<unknown>[]
  readonly slots: Bulkhead
}

export interface StackOptions {
  /** Of each attempt, in ms. */
  readonly limit?: number
  /** What the policies get as their clock. */
  readonly dress?: (clock: Clock) => Clock
}

/** One pipeline of the five, in this order; its fallback answers by `step`. */
export function stack(
  order: readonly Kind[],
  step: () => unknown,
  { limit = 100, dress = (plain: Clock): Clock => plain }: StackOptions = {},
): Stack {
  const time = virtualClock()
  const clock = dress(time)
  const slots = bulkhead({ maxConcurrent: 3, maxQueue: 3, maxWait: 500, clock })
  const make: Record<Kind, Policy<unknown>> = {
    fallback: fallback({ steps: [step], clock }),
    retry: retry({ maxRetries: 2, baseDelay: 10, clock }),
    breaker: circuitBreaker({ failureThreshold: 4, resetTimeout: 50, trialTimeout: 200, clock }),
    bulkhead: slots,
    timeout: timeout({ duration: limit, clock }),
  }
  const members = order.map((kind) => make[kind])
  return { clock: time, slots, members, policy: pipeline({ name: 'order', clock }, ...members) }
}

export const orders: readonly (readonly Kind[])[] = permutations(kinds)

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, at) =>
    permutations([...items.slice(0, at), ...items.slice(at + 1)]).map((rest) => [item, ...rest]),
  )
}
