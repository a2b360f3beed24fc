import { describe, expect, it } from 'vitest'
import { type Ticket, WaitQueue } from './queue.ts'

describe('WaitQueue', () => {
  it('is empty at first', () => {
    const queue = new WaitQueue<string>()

    expect(queue.size).toBe(0)
    expect(queue.shift()).toBeUndefined()
    expect(queue.peek()).toBeUndefined()
    expect(queue.clear()).toEqual([])
    expect([...queue]).toEqual([])
  })

  it('serves first come, first served', () => {
    const queue = filled('a', 'b', 'c')

    expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([
      'a',
      'b',
      'c',
      undefined,
    ])
    expect(queue.size).toBe(0)
  })

  it('serves the highest priority first, and first come first served within one', () => {
    const queue = new WaitQueue<string>()
    queue.push('normal 1')
    queue.push('lowest', -10)
    queue.push('high 1', 3)
    queue.push('highest', 10)
    queue.push('high 2', 3)
    queue.push('normal 2', 0)

    expect(queue.clear()).toEqual(['highest', 'high 1', 'high 2', 'normal 1', 'normal 2', 'lowest'])
  })

  it('shows the next value without serving it', () => {
    const queue = filled('a', 'b')
    queue.push('first', 1)

    expect([queue.peek(), queue.peek(), queue.size]).toEqual(['first', 'first', 3])
  })

  it.each([0, 1, 2])('lets the one at place %d leave, and keeps the order of the rest', (place) => {
    const queue = new WaitQueue<number>()
    const tickets = [0, 1, 2].map((value) => queue.push(value))

    expect(queue.remove(tickets[place] as Ticket)).toBe(true)

    expect(queue.size).toBe(2)
    expect(queue.clear()).toEqual([0, 1, 2].filter((value) => value !== place))
  })

  it('goes on after the last of a priority has left', () => {
    const queue = new WaitQueue<string>()
    const only = queue.push('high', 5)
    queue.push('normal')

    queue.remove(only)
    queue.push('later')
    queue.push('high again', 5)

    expect(queue.clear()).toEqual(['high again', 'normal', 'later'])
  })

  it('lets nobody leave twice, whichever way the first time was', () => {
    const queue = new WaitQueue<string>()
    const [served, removed, cleared] = ['a', 'b', 'c'].map((value) => queue.push(value))
    queue.shift()
    queue.remove(removed as Ticket)
    queue.clear()

    const again = [served, removed, cleared].map((ticket) => queue.remove(ticket as Ticket))

    expect(again).toEqual([false, false, false])
    expect(queue.size).toBe(0)
  })

  it('does not know the tickets of another queue', () => {
    const queue = filled('a')
    const other = new WaitQueue<string>()
    const ticket = other.push('b')

    expect(queue.remove(ticket)).toBe(false)
    expect(queue.remove({ priority: 0 })).toBe(false)
    expect([queue.size, other.size]).toEqual([1, 1])
  })

  it('writes the priority on the ticket', () => {
    const queue = new WaitQueue<string>()

    expect(queue.push('a').priority).toBe(0)
    expect(queue.push('b', -3).priority).toBe(-3)
  })

  it.each([11, -11, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number])(
    'refuses %s as a priority and stays as it was',
    (priority) => {
      const queue = filled('a')

      expect(() => queue.push('b', priority)).toThrow(
        new RangeError(
          `queue: priority must be a whole number from -10 to 10, but was ${priority}`,
        ),
      )
      expect([...queue]).toEqual(['a'])
    },
  )

  it('lists who waits, in the order of service, while others leave', () => {
    const queue = new WaitQueue<string>()
    queue.push('b')
    const leaving = queue.push('c')
    queue.push('a', 1)
    const seen: string[] = []

    for (const value of queue) {
      seen.push(value)
      queue.remove(leaving)
    }

    expect(seen).toEqual(['a', 'b', 'c'])
    expect([...queue]).toEqual(['a', 'b'])
  })

  it('holds undefined as any other value', () => {
    const queue = new WaitQueue<undefined>()
    queue.push(undefined)

    expect(queue.size).toBe(1)
    expect(queue.clear()).toEqual([undefined])
  })

  it('does not hold what has left, even by a ticket that is kept', () => {
    const queue = new WaitQueue<object>()
    const tickets = [queue.push({}), queue.push({}), queue.push({}), queue.push({})]

    queue.shift()
    queue.remove(tickets[2] as Ticket)
    queue.clear()

    const held = tickets.flatMap((ticket) => Object.values(ticket)).filter(isObject)
    expect(held).toEqual([])
  })

  it('keeps 100,000 in order, half of whom leave from the middle', () => {
    const queue = new WaitQueue<number>()
    const tickets = Array.from({ length: 100_000 }, (_, value) => queue.push(value, value % 3))

    for (const [value, ticket] of tickets.entries()) if (value % 2 === 1) queue.remove(ticket)

    const left = queue.clear()
    expect(left).toHaveLength(50_000)
    expect(left.slice(0, 3)).toEqual([2, 8, 14])
    expect(left.slice(-3)).toEqual([99_984, 99_990, 99_996])
  })
})

function filled(...values: string[]): WaitQueue<string> {
  const queue = new WaitQueue<string>()
  for (const value of values) queue.push(value)
  return queue
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
