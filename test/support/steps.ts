/** Steps of a test's own making, to look at what an engine tells them. */

import { Engine } from '../../src/core/engine.ts'
import { Emitter } from '../../src/core/events.ts'
import { Gate } from '../../src/core/gate.ts'
import type { Step } from '../../src/core/step.ts'
import { type VirtualClock, virtualClock } from '../../src/testing/virtual-clock.ts'

/** The time in which the steps of a test file live. */
export const clock: VirtualClock = virtualClock()

/** A step that does nothing but what a test gives it. */
export function step(name: string, parts: Partial<Step> = {}): Step {
  const base = { kind: 'test', traits: {}, gate: new Gate(), emitter: new Emitter() }
  return { ...base, name, clock, latency: undefined, ...parts }
}

/** A step that asks to be told of everything, and writes down what it is told. */
export function witness(name: string, log: unknown[][], parts: Partial<Step> = {}): Step {
  const gate = new Gate()
  gate.ask(true)
  return step(name, {
    gate,
    leave(outcome, { late, since, permit, work }) {
      if (!late) gate.running--
      const error = outcome.error === undefined ? [] : [outcome.error]
      log.push([name, outcome.ending, ...error, { late, since, permit, stray: work !== undefined }])
    },
    ...parts,
  })
}

export function engineOf(...steps: Step[]): Engine {
  return new Engine('stack', steps, clock, false)
}

/** Running, succeeded, failed, timed out, rejected, aborted. */
export function counts({ gate }: Step): number[] {
  const { running, succeeded, failed, timedOut, rejected, aborted } = gate
  return [running, succeeded, failed, timedOut, rejected, aborted]
}
