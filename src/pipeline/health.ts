/** The circuits inside a policy, for whoever tells others how a service is doing. */
import type { PolicyLike } from '../core/policy.ts'
import { PipelinePolicy } from './pipeline.ts'

/** How one circuit stands. */
export interface Circuit {
  readonly name: string
  readonly state: 'closed' | 'open' | 'half-open' | 'isolated'
}

/** What has circuits that come and go: one for each key, or for each server. */
export interface HasCircuits {
  circuits(): readonly Circuit[]
}

/** Every circuit breaker in a policy or pipeline, outermost first. */
export function circuitsOf(policy: PolicyLike<unknown> | HasCircuits): Circuit[] {
  const inside = policy instanceof PipelinePolicy ? policy.all : [policy]
  return inside.flatMap(circuitsIn)
}

function circuitsIn(step: unknown): Circuit[] {
  try {
    const { state, name, circuits } = step as Partial<Circuit & HasCircuits>
    if (typeof circuits === 'function') return [...circuits.call(step)]
    return isState(state) ? [{ name: String(name), state }] : []
  } catch {
    // A policy of somebody else's may have a state that cannot be read; it is no circuit.
    return []
  }
}

const STATES: readonly unknown[] = ['closed', 'open', 'half-open', 'isolated']

function isState(value: unknown): value is Circuit['state'] {
  return STATES.includes(value)
}
