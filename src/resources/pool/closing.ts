/** The end of a pool: bounded, idempotent, and with a report. */
import type { Timer } from '../../core/clock.ts'
import type { CloseReport } from './contract.ts'
import type { Supply } from './supply.ts'

/** Why everything is destroyed at the end. */
const CLOSED = 'the pool is closed'

/** Resolves when `isOver`, or with false when `timeout` has passed. */
function until<R>(supply: Supply<R>, timeout: number, isOver: () => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    let timer: Timer | undefined
    const end = (inTime: boolean): void => {
      timer?.cancel()
      supply.watchers.delete(look)
      resolve(inTime)
    }
    const look = (): void => {
      if (isOver()) end(true)
    }
    supply.watchers.add(look)
    timer = supply.settings.clock.setTimer(() => end(isOver()), timeout)
    look()
  })
}

export async function drain<R>(supply: Supply<R>, timeout: number): Promise<boolean> {
  if (supply.phase === 'open') supply.phase = 'draining'
  supply.balance()
  const { inventory, line } = supply
  return until(supply, timeout, () => line.size === 0 && inventory.lent.size === 0)
}

export async function close<R>(supply: Supply<R>, timeout: number): Promise<CloseReport> {
  const { inventory, line, settings, problems } = supply
  supply.phase = 'closed'
  supply.balance()
  supply.keeper.rest()
  supply.maker.rest()
  if (line.size > 0) supply.turnAway(supply.closed())
  for (const member of [...inventory.members]) {
    supply.condemn(member, CLOSED)
    if (member.place === inventory.creating) member.abandon?.(supply.closed())
  }
  await until(supply, timeout, () => inventory.size === 0)
  // The time is up: what is still lent is taken away, and nobody is waited for any longer.
  let forced = 0
  const late: unknown[] = []
  for (const member of [...inventory.members]) {
    if (member.place === inventory.lent) {
      forced++
      supply.destroy(member, CLOSED)
    } else {
      late.push(new Error(`pool "${settings.name}": ${member.place.name} took too long to close`))
    }
  }
  return { forced, errors: [...problems, ...late] }
}
