/**
 * Work that goes on although nobody waits for it any more. A slot that follows the work is not free
 * before the last of it has ended.
 */
import { hang } from './begin.ts'
import type { StrayWork } from './step.ts'

/** Work that goes on although its call has moved on. */
export class Stray {
  /** Steps from here inwards have settled their account with it. */
  reach: number
  ended = false
  #callbacks: (() => void)[] = []

  constructor(work: Promise<unknown>, reach: number) {
    this.reach = reach
    const end = (): void => {
      this.ended = true
      for (const callback of this.#callbacks) callback()
    }
    hang(work, end, end)
  }

  whenEnded(callback: () => void): void {
    this.#callbacks.push(callback)
  }
}

/** The strays that a step at `index` has to wait for, if any. */
export function straysUnder(strays: readonly Stray[], index: number): StrayWork | undefined {
  const running = strays.filter((stray) => !stray.ended && stray.reach > index)
  if (running.length === 0) return undefined
  return {
    whenEnded(callback) {
      let left = running.length
      for (const stray of running) {
        stray.whenEnded(() => {
          if (--left === 0) callback()
        })
      }
    },
  }
}
