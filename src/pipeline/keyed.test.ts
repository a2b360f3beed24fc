import {
  bulkhead,
  type CircuitBreaker,
  circuitBreaker,
  pipeline,
  retry,
  systemClock,
} from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { fail } from '../../test/support/breakers.ts'
import { gate, hangs, rejection, times } from '../../test/support/calls.ts'
import { type Keyed, type KeyedOptions, keyed, OVERFLOW_KEY } from './keyed.ts'

/** So soon that no retry fits before it. */
const soon = (): number => systemClock.now() + 100

interface Hosts {
  readonly hosts: Keyed<CircuitBreaker>
  readonly made: string[]
}

/** A breaker per host, and the keys for which one was made. */
function breakers(options: KeyedOptions = {}): Hosts {
  const made: string[] = []
  const hosts = keyed((host) => {
    made.push(host)
    return circuitBreaker({ name: host, failureThreshold: 1 })
  }, options)
  return { hosts, made }
}

describe('keyed policies', () => {
  it('are made when their key is first used, one each', () => {
    const { hosts, made } = breakers()
    expect([hosts.size, made]).toEqual([0, []])

    const [a, b, again] = [hosts.get('a'), hosts.get('b'), hosts.get('a')]

    expect(again).toBe(a)
    expect(a).not.toBe(b)
    expect([hosts.size, made]).toEqual([2, ['a', 'b']])
    expect(a.name).toBe('a')
  })

  it('keep their keys apart', async () => {
    const { hosts } = breakers()

    await fail(hosts.get('a'), 1)

    expect(await rejection(hosts.execute('a', () => 'unreached'))).toMatchObject({
      code: 'ERR_CIRCUIT_OPEN',
    })
    expect(await hosts.execute('b', () => 'answer')).toBe('answer')
  })

  it('hand over operation and options', async () => {
    const { hosts } = breakers()

    const answer = await hosts.execute('a', ({ deadline, args }) => [deadline, args], {
      deadline: 1e15,
      args: ['x'],
    })

    expect(answer).toEqual([1e15, ['x']])
    expect(await rejection(hosts.execute('a', hangs, { signal: AbortSignal.abort('no') }))).toBe(
      'no',
    )
  })

  it('tell their keys, the least recently used first', () => {
    const { hosts } = breakers()
    for (const host of ['a', 'b', 'c', 'a']) hosts.get(host)

    expect([...hosts.keys()]).toEqual(['b', 'c', 'a'])
  })

  it('treat every key as a key', () => {
    const { hosts } = breakers()
    const odd = ['__proto__', 'constructor', ' ', 'toString', 'hasOwnProperty']

    for (const key of odd) expect(hosts.get(key).name).toBe(key)

    expect([...hosts.keys()]).toEqual(odd)
  })
})

describe('a key too many', () => {
  it('has the least recently used forgotten', () => {
    const { hosts, made } = breakers({ maxKeys: 2 })
    for (const host of ['a', 'b', 'a', 'c']) hosts.get(host)

    expect([...hosts.keys()]).toEqual(['a', 'c'])
    hosts.get('b')

    expect(made).toEqual(['a', 'b', 'c', 'b'])
    expect(hosts.size).toBe(2)
  })

  it('never has an open circuit forgotten, nor one held open by hand', async () => {
    const { hosts } = breakers({ maxKeys: 3 })
    const open = hosts.get('open')
    await fail(open, 1)
    const isolated = hosts.get('isolated')
    isolated.isolate()

    for (const host of ['a', 'b', 'c', 'd']) hosts.get(host)

    expect(hosts.get('open')).toBe(open)
    expect(hosts.get('isolated')).toBe(isolated)
    expect(hosts.size).toBe(3)
  })

  it('never has a policy forgotten with calls under way or in line', async () => {
    const slots = keyed(() => bulkhead({ maxConcurrent: 1, maxQueue: 1 }), { maxKeys: 1 })
    const work = gate<string>()
    const busy = slots.get('busy')
    const calls = times(2, () => slots.execute('busy', () => work.promise))

    slots.get('other')
    expect(slots.get('busy')).toBe(busy)
    work.open('done')
    await Promise.all(calls)
    slots.get('other')

    expect([...slots.keys()]).toEqual(['other'])
  })

  it('looks into a pipeline for what must not be forgotten', async () => {
    const stacks = keyed(
      (host) => pipeline(host, retry(), circuitBreaker({ failureThreshold: 1 })),
      { maxKeys: 1 },
    )
    const stack = stacks.get('open')
    await rejection(stack.execute(() => Promise.reject(new Error('down')), { deadline: soon() }))

    stacks.get('other')

    expect(stacks.get('open')).toBe(stack)
  })

  it('shares one more policy with all others when nothing can be forgotten', async () => {
    const { hosts, made } = breakers({ maxKeys: 2 })
    for (const host of ['a', 'b']) hosts.get(host).isolate()

    const [c, d] = [hosts.get('c'), hosts.get('d')]

    expect(c).toBe(d)
    expect(c.name).toBe(OVERFLOW_KEY)
    expect(made).toEqual(['a', 'b', OVERFLOW_KEY])
    expect(hosts.size).toBe(2)
    expect([...hosts.keys()]).not.toContain(OVERFLOW_KEY)
    expect(await hosts.execute('e', () => 'protected')).toBe('protected')
    expect(c.stats().calls).toBe(1)
  })

  it('gets a policy of its own again when there is room', () => {
    const { hosts } = breakers({ maxKeys: 1 })
    const a = hosts.get('a')
    a.isolate()
    const shared = hosts.get('b')
    a.close()

    expect(hosts.get('b')).not.toBe(shared)
    expect(hosts.get('b').name).toBe('b')
  })

  it('finds the one that can be forgotten among pinned ones', () => {
    const { hosts } = breakers({ maxKeys: 16 })
    for (const n of times(16, (index) => index)) {
      const one = hosts.get(`${n}`)
      if (n !== 15) one.isolate()
    }

    expect(hosts.get('new').name).toBe('new')

    expect([...hosts.keys()]).not.toContain('15')
    expect(hosts.size).toBe(16)
  })

  it('looks at a bounded number of them, and at others next time', () => {
    const { hosts } = breakers({ maxKeys: 40 })
    for (const n of times(40, (index) => index)) {
      const one = hosts.get(`${n}`)
      if (n < 20) one.isolate()
    }

    expect(hosts.get('first').name).toBe(OVERFLOW_KEY)
    expect(hosts.get('second').name).toBe('second')

    expect([...hosts.keys()]).not.toContain('20')
    expect(hosts.size).toBe(40)
  })
})

describe('an idle key', () => {
  it('is forgotten after exactly idleTime, when any key is asked for the first time', async () => {
    const clock = virtualClock()
    const { hosts } = breakers({ idleTime: 1_000, clock })
    hosts.get('a')
    await clock.advance(500)
    hosts.get('b')

    await clock.advance(499)
    hosts.get('c')
    expect([...hosts.keys()]).toEqual(['a', 'b', 'c'])
    await clock.advance(1)
    hosts.get('d')

    expect([...hosts.keys()]).toEqual(['b', 'c', 'd'])
    expect(clock.timers).toEqual([])
  })

  it('begins anew when it comes back itself', async () => {
    const clock = virtualClock()
    const { hosts, made } = breakers({ idleTime: 1_000, clock })
    const early = hosts.get('a')
    await clock.advance(999)
    expect(hosts.get('a')).toBe(early)
    await clock.advance(1_000)

    expect(hosts.get('a')).not.toBe(early)
    expect(made).toEqual(['a', 'a'])
  })

  it('is not forgotten while it is open', async () => {
    const clock = virtualClock()
    const { hosts } = breakers({ idleTime: 1_000, clock })
    const open = hosts.get('open')
    await fail(open, 1)
    hosts.get('closed')

    await clock.advance(5_000)
    hosts.get('new')
    expect([...hosts.keys()]).toEqual(['open', 'new'])
    expect(hosts.get('open')).toBe(open)
  })

  it('is forgotten after ten minutes by default', async () => {
    const clock = virtualClock()
    const { hosts } = breakers({ clock })
    const early = hosts.get('a')

    await clock.advance(599_999)
    hosts.get('b')
    expect(hosts.size).toBe(2)
    await clock.advance(1)
    hosts.get('c')

    expect([...hosts.keys()]).toEqual(['b', 'c'])
    expect(hosts.get('a')).not.toBe(early)
  })

  it('stays for ever when idleTime is Infinity', async () => {
    const clock = virtualClock()
    const { hosts } = breakers({ idleTime: Number.POSITIVE_INFINITY, clock })
    hosts.get('a')

    await clock.advance(1e12)
    hosts.get('b')

    expect(hosts.size).toBe(2)
  })

  it('costs a bounded amount of work, however many there are', async () => {
    const clock = virtualClock()
    const { hosts } = breakers({ idleTime: 1_000, clock })
    for (const n of times(100, (index) => index)) hosts.get(`${n}`)
    await clock.advance(1_000)

    hosts.get('new')
    expect(hosts.size).toBeGreaterThan(50)
    for (const n of times(20, (index) => index)) hosts.get(`new ${n}`)

    expect([...hosts.keys()].every((key) => key.startsWith('new'))).toBe(true)
  })
})

describe('delete', () => {
  it('forgets a policy whatever its state', async () => {
    const { hosts } = breakers()
    const open = hosts.get('a')
    await fail(open, 1)

    expect([hosts.delete('a'), hosts.delete('a'), hosts.delete('b')]).toEqual([true, false, false])
    expect(hosts.size).toBe(0)
    expect(hosts.get('a')).not.toBe(open)
  })
})

describe('the options of keyed', () => {
  it('keeps a thousand keys by default', () => {
    const { hosts } = breakers()

    for (const n of times(1_001, (index) => index)) hosts.get(`${n}`)

    expect(hosts.size).toBe(1_000)
  })

  it('passes on what making a policy throws, and makes it when asked again', () => {
    let tries = 0
    const hosts = keyed((host) => {
      if (++tries === 1) throw new Error('no such host')
      return circuitBreaker({ name: host })
    })

    expect(() => hosts.get('a')).toThrow('no such host')
    expect(hosts.get('a').name).toBe('a')
  })

  it.each<[unknown, unknown, string]>([
    ['breaker', {}, 'keyed: create must be'],
    [undefined, {}, 'keyed: create'],
    [() => retry(), { maxKeys: 0 }, 'keyed: maxKeys must be'],
    [() => retry(), { maxKeys: 1.5 }, 'keyed: maxKeys must be'],
    [() => retry(), { idleTime: 0 }, 'keyed: idleTime must be'],
    [() => retry(), { idleTime: -1 }, 'keyed: idleTime must be'],
    [() => retry(), { clock: 5 }, 'keyed: clock must be'],
    [() => retry(), { ttl: 5 }, 'ttl'],
  ])('are refused: %s, %o', (create, options, message) => {
    const make = (): unknown => keyed(create as () => CircuitBreaker, options as KeyedOptions)

    expect(make).toThrow(message)
  })

  it('refuses an execute that is asked for no function', async () => {
    const { hosts } = breakers()

    expect(await rejection(hosts.execute('a', 'text' as never))).toBeInstanceOf(TypeError)
  })
})

describe('the observation of keys', () => {
  it('tells the stats of each key without counting as use', async () => {
    const clock = virtualClock()
    const breakers = keyed((key) => circuitBreaker({ name: key, clock }), { idleTime: 100, clock })
    const first = breakers.get('a')
    await breakers.execute('a', () => 1)
    await clock.advance(99)
    expect(breakers.stats()).toMatchObject([{ key: 'a', stats: { name: 'a', succeeded: 1 } }])
    await clock.advance(1)

    expect(breakers.get('a')).not.toBe(first)
  })

  it('hands on the events of present and future keys, once to each listener, until it leaves', async () => {
    const breakers = keyed((key) => circuitBreaker({ name: key }))
    breakers.get('present')
    const heard: string[] = []
    const stop = breakers.subscribe((event) => heard.push(`one ${event.policy}`))
    const stopOther = breakers.subscribe((event) => heard.push(`two ${event.policy}`))
    await breakers.execute('present', () => 1)
    await breakers.execute('future', () => 1)
    stop()
    stopOther()
    await breakers.execute('present', () => 1)

    expect(heard).toEqual(['one present', 'two present', 'one future', 'two future'])
  })

  it('tells the circuits of each key without counting as use', () => {
    const breakers = keyed(
      (name) => pipeline({ name }, retry(), circuitBreaker({ name: `circuit of ${name}` })),
      { maxKeys: 2 },
    )
    breakers.get('a')
    breakers.get('b')

    expect(breakers.circuits()).toEqual([
      { name: 'circuit of a', state: 'closed' },
      { name: 'circuit of b', state: 'closed' },
    ])
    breakers.get('c')
    expect([...breakers.keys()]).toEqual(['b', 'c'])
    expect(keyed(() => bulkhead({ maxConcurrent: 1 })).circuits()).toEqual([])
  })

  it('leaves out what keeps no stats and tells no events', () => {
    const plain = keyed(() => ({
      execute: async <T>(operation: () => T | PromiseLike<T>) => operation(),
    }))
    plain.subscribe(() => undefined)
    plain.get('a')

    expect(plain.stats()).toEqual([])
  })
})
