/** Resources made beforehand: as many as are kept, and none of them lent to anybody meanwhile. */
import type { Timer } from '../../core/clock.ts'
import { TimeoutError } from '../../core/errors.ts'
import { stackless } from '../../core/stackless.ts'
import type { Supply } from './supply.ts'

/** Resolves when `minSize` resources are there; rejects with what `create` failed with, or when the pool closes. */
export function warmUp<R>(supply: Supply<R>, timeout: number): Promise<void> {
  const { inventory, maker, settings, counts, watchers } = supply
  const { minSize, createRetries, clock } = settings
  const failedBefore = counts.createFailed
  const made = (): number => inventory.alive - inventory.creating.size
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined
    const end = (settle: () => void): void => {
      timer?.cancel()
      watchers.delete(look)
      settle()
    }
    const look = (): void => {
      const gaveUp = counts.createFailed > failedBefore && maker.failures > createRetries
      if (supply.phase !== 'open') end(() => reject(supply.closed()))
      else if (made() >= minSize) end(resolve)
      else if (gaveUp) end(() => reject(maker.lastFailure))
    }
    const tooLate = (): void =>
      end(() => {
        const what = `warmUp made ${made()} of ${minSize} resources`
        const error = stackless(() => new TimeoutError(settings.name, timeout, what))
        if (maker.lastFailure !== undefined) error.cause = maker.lastFailure
        reject(error)
      })
    watchers.add(look)
    if (timeout !== Number.POSITIVE_INFINITY) timer = clock.setTimer(tooLate, timeout)
    if (supply.phase === 'open') maker.knock()
    supply.balance()
  })
}
