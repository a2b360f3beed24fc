/** Leak oracles: what a call may have left behind on signals, timers, the heap and the process. */
import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'vitest'
import { quiet } from './calls.ts'

/** L1: listeners for `abort` on a signal. */
export function listenersOn(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length
}

/** L2: timers, sockets and ports that keep this process alive. Immediates end by themselves. */
export function heldResources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kind === 'Timeout' || kind.includes('Socket') || kind.includes('Port'))
    .sort()
}

/** L3: bytes on the heap that are reachable. */
export function heapInUse(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Collects all garbage, without a flag on the command line. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  gc()
}

/** L4: runs something and fails if the process heard an unhandled rejection or a warning meanwhile. */
export async function withoutNoise<T>(run: () => Promise<T> | T): Promise<T> {
  const noise: string[] = []
  const onRejection = (reason: unknown): void => void noise.push(`unhandled: ${shown(reason)}`)
  const onWarning = (warning: Error): void => void noise.push(`warning: ${shown(warning)}`)
  process.on('unhandledRejection', onRejection)
  process.on('warning', onWarning)
  try {
    const result = await run()
    await quiet()
    await quiet()
    expect(noise).toEqual([])
    return result
  } finally {
    process.off('unhandledRejection', onRejection)
    process.off('warning', onWarning)
  }
}

function shown(value: unknown): string {
  try {
    return String(value)
  } catch {
    return 'something that cannot be shown'
  }
}
