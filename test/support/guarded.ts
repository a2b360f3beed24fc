/** Requests at a guard without a server: what became of each, and ways to end it. */

import type { SurroundingsOptions } from '../../src/adapters/node/surroundings.ts'
import type { Incoming, Refusal } from '../../src/adapters/server/contract.ts'
import { Guard } from '../../src/adapters/server/guard.ts'
import { type OverloadGuardOptions, readGuardOptions } from '../../src/adapters/server/options.ts'

export function guardOf(options: OverloadGuardOptions = {}): Guard {
  // The real pressure of the machine that runs the tests is not their subject.
  return new Guard(
    readGuardOptions({ maxEventLoopDelay: Number.POSITIVE_INFINITY, maxHeapUsed: 1, ...options }),
  )
}

export interface Visitor extends Incoming {
  readonly fates: ('entered' | Refusal['reason'])[]
  readonly surroundings: SurroundingsOptions | undefined
  readonly refusal: Refusal | undefined
  /** Its handler has ended, any number of times. */
  end(): void
  /** Its caller goes away. */
  go(): void
}

export function visitor(
  headers: Readonly<Record<string, string>> = {},
  onEnter: (self: Visitor) => void = () => {},
): Visitor {
  const listeners = new Set<() => void>()
  let release: (() => void) | undefined
  const self = {
    fates: [] as Visitor['fates'],
    surroundings: undefined as SurroundingsOptions | undefined,
    refusal: undefined as Refusal | undefined,
    request: { method: 'GET', url: '/', header: (name: string) => headers[name] },
    enter(admission: Parameters<Incoming['enter']>[0]) {
      self.fates.push('entered')
      self.surroundings = admission.surroundings
      release = admission.release
      onEnter(self)
    },
    refuse(refusal: Refusal) {
      self.fates.push(refusal.reason)
      self.refusal = refusal
    },
    remember: () => (<T>(fn: () => T) => fn()) as <T>(fn: () => T) => T,
    onGone(callback: () => void) {
      listeners.add(callback)
      return () => void listeners.delete(callback)
    },
    end: () => release?.(),
    go() {
      for (const listener of [...listeners]) listener()
      release?.()
    },
  }
  return self
}
