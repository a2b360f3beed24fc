import { describe, expect, it } from 'vitest'
import { ASKS } from './gate.ts'
import { Semaphore, Waiter } from './semaphore.ts'

const served: string[] = []

class Guest extends Waiter {
  readonly name: string
  readonly #then: () => void

  constructor(name: string, priority: number, then: () => void) {
    super(priority)
    this.name = name
    this.#then = then
  }

  onGrant(): void {
    served.push(this.name)
    this.#then()
  }
}

function guest(name: string, priority = 0, onGrant: () => void = () => undefined): Guest {
  return new Guest(name, priority, onGrant)
}

/** A semaphore without a free permit, and its guests in line. */
function fullHouse(limit: number, ...guests: Guest[]): Semaphore {
  served.length = 0
  const semaphore = new Semaphore(limit)
  while (semaphore.tryAcquire());
  for (const one of guests) semaphore.enqueue(one)
  return semaphore
}

describe('a Semaphore', () => {
  it('gives exactly as many permits as its limit', () => {
    const semaphore = new Semaphore(2)

    expect([1, 2, 3].map(() => semaphore.tryAcquire())).toEqual([true, true, false])
    semaphore.release()

    expect([1, 2].map(() => semaphore.tryAcquire())).toEqual([true, false])
    expect(semaphore.gate).toMatchObject({ running: 2, limit: 2 })
  })

  it('passes a permit on to the first in line, who keeps it', () => {
    const [first, second] = [guest('first'), guest('second')]
    const semaphore = fullHouse(1, first, second)
    expect([first.state, semaphore.queued]).toEqual(['waiting', 2])

    semaphore.release()

    expect([served, first.state, second.state]).toEqual([['first'], 'granted', 'waiting'])
    expect([semaphore.queued, semaphore.gate.running]).toEqual([1, 1])
    expect(semaphore.tryAcquire()).toBe(false)
  })

  it('serves the higher priority first, and within one whoever came first', () => {
    const guests = [guest('a'), guest('b', -10), guest('c', 10), guest('d'), guest('e', 10)]
    const semaphore = fullHouse(1, ...guests)

    expect([...semaphore.line].map((one) => (one as Guest).name)).toEqual(['c', 'e', 'a', 'd', 'b'])
    for (const _ of guests) semaphore.release()

    expect(served).toEqual(['c', 'e', 'a', 'd', 'b'])
  })

  it('asks to be told of endings only while somebody waits', () => {
    const [one, other] = [guest('one'), guest('other')]
    const semaphore = fullHouse(1)
    const asks = (): boolean => (semaphore.gate.alert & ASKS) !== 0
    expect(asks()).toBe(false)

    semaphore.enqueue(one)
    semaphore.enqueue(other)
    expect(asks()).toBe(true)
    semaphore.abandon(one)
    expect(asks()).toBe(true)
    semaphore.abandon(other)
    expect(asks()).toBe(false)
    semaphore.enqueue(guest('late'))
    semaphore.release()

    expect(asks()).toBe(false)
  })

  it('lets a permit that is granted bring in the next by itself', () => {
    const semaphore = fullHouse(1)
    for (let n = 0; n < 3; n++) {
      semaphore.enqueue(guest(`guest ${n}`, 0, () => semaphore.release()))
    }

    semaphore.release()

    expect(served).toEqual(['guest 0', 'guest 1', 'guest 2'])
    expect([semaphore.gate.running, semaphore.queued]).toEqual([0, 0])
  })
})

describe('abandon', () => {
  it('leaves the line: nobody is served who has gone', () => {
    const [first, second] = [guest('first'), guest('second')]
    const semaphore = fullHouse(1, first, second)

    semaphore.abandon(first)
    semaphore.release()

    expect([served, first.state]).toEqual([['second'], 'gone'])
  })

  it('gives a permit back that was granted meanwhile', () => {
    const [first, second] = [guest('first'), guest('second')]
    const semaphore = fullHouse(1, first, second)
    semaphore.release()

    semaphore.abandon(first)

    expect(served).toEqual(['first', 'second'])
    expect(semaphore.gate.running).toBe(1)
  })

  it('is harmless twice, and before anything', () => {
    const [first, stranger] = [guest('first'), guest('stranger')]
    const semaphore = fullHouse(1, first)
    semaphore.release()
    semaphore.abandon(first)

    semaphore.abandon(first)
    semaphore.abandon(stranger)

    expect(semaphore.gate.running).toBe(0)
    expect([semaphore.tryAcquire(), semaphore.tryAcquire()]).toEqual([true, false])
  })
})

describe('resize', () => {
  it('starts waiters at once when it grows, and no more than there is room for', () => {
    const semaphore = fullHouse(1, guest('a'), guest('b'), guest('c'))

    semaphore.resize(3)

    expect([served, semaphore.queued, semaphore.gate.running]).toEqual([['a', 'b'], 1, 3])
  })

  it('stops nobody when it shrinks, and grants again below the new limit', () => {
    const semaphore = fullHouse(3, guest('a'))

    semaphore.resize(1)
    semaphore.release()
    semaphore.release()
    expect([served, semaphore.gate.running]).toEqual([[], 1])
    semaphore.release()

    expect([served, semaphore.gate.running]).toEqual([['a'], 1])
    expect(semaphore.tryAcquire()).toBe(false)
  })
})
