/** A dependency of so many workers, in virtual time: calls that find none free wait there, first come first served. */
import type { Policy } from 'holdfast'
import { seededRandom, type VirtualClock } from 'holdfast/testing'

export interface QueueingServer {
  /** Resolves when the call has been served. */
  call(): Promise<void>
  /** Service time of one call from now on, in ms. */
  serviceTime: number
  workers: number
  /** Calls that wait or are served now. */
  readonly present: number
  readonly served: number
}

export function queueingServer(
  clock: VirtualClock,
  workers: number,
  serviceTime: number,
  spread = 0.2,
): QueueingServer {
  const random = seededRandom(7)
  const waiting: (() => void)[] = []
  let busy = 0
  const next = (): void => {
    if (busy >= server.workers) return
    const start = waiting.shift()
    if (start === undefined) return
    busy++
    start()
  }
  const server = {
    serviceTime,
    workers,
    served: 0,
    get present(): number {
      return busy + waiting.length
    },
    call(): Promise<void> {
      return new Promise((resolve) => {
        waiting.push(() => {
          const time = server.serviceTime * (1 - spread + 2 * spread * random())
          clock.setTimer(() => {
            busy--
            server.served++
            resolve()
            next()
          }, time)
        })
        next()
      })
    },
  }
  return server
}

/** Sends calls at random moments, so many a second on average, until it is stopped. */
export function trafficOf(
  clock: VirtualClock,
  policy: Policy,
  perSecond: number,
  call: () => unknown,
): { perSecond: number; stop(): void; readonly rejected: number } {
  const random = seededRandom(11)
  const traffic = { perSecond, rejected: 0, stop: () => timer.cancel() }
  const send = (): void => {
    policy.execute(call).catch(() => {
      traffic.rejected++
    })
    timer = clock.setTimer(send, (-Math.log(1 - random()) * 1_000) / traffic.perSecond)
  }
  let timer = clock.setTimer(send, 0)
  return traffic
}
