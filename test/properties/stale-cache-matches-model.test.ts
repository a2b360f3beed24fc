/** Every answer of a stale cache, and every call that it makes, as a naive model says. */
import fc from 'fast-check'
import { staleCache } from 'holdfast'
import { virtualClock } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Gate, gate, type Seen, watch } from '../support/calls.ts'
import { listenersOn } from '../support/leaks.ts'
import { holds } from './seed.ts'
import { settled } from './turn.ts'

interface Options {
  readonly freshFor: number
  readonly staleFor: number
  readonly softTimeout: number
  readonly refreshPause: number
  readonly joinWithin: number
  readonly staleOnError: boolean
  readonly finishAlone: boolean
}

const shape: fc.Arbitrary<Options> = fc.record({
  freshFor: fc.constantFrom(0, 100, 400),
  staleFor: fc.constantFrom(400, 1_000),
  softTimeout: fc.constantFrom(0, 30, 150, Number.POSITIVE_INFINITY),
  refreshPause: fc.constantFrom(0, 80, 300),
  joinWithin: fc.constantFrom(200, Number.POSITIVE_INFINITY),
  staleOnError: fc.boolean(),
  finishAlone: fc.boolean(),
})

const keys = ['tea', 'salt']
const kinds = [
  'call',
  'call',
  'call',
  'call',
  'answer',
  'answer',
  'fail',
  'say no',
  'abort',
  'advance',
  'advance',
  'set',
  'delete',
] as const
const step = fc.tuple(fc.constantFrom(...kinds), fc.nat(300))

const down = Object.assign(new Error('down'), { status: 503 })
const no = Object.assign(new Error('no'), { status: 404 })

interface Kept {
  readonly value: unknown
  readonly made: number
}
interface Load {
  readonly key: string
  readonly began: number
  readonly waiters: Set<Caller>
  alone: boolean
  stopped: boolean
  entry: Kept | undefined
}
interface Caller {
  answer: { value: unknown } | { error: unknown } | undefined
  /** When its patience ends. */
  due: number
  readonly load: Load | undefined
}

/** As simple as can be: lists, and a time that is a number. */
class Model {
  now = 0
  readonly loads: Load[] = []
  readonly callers: Caller[] = []
  readonly current = new Map<string, Load>()
  readonly #kept = new Map<string, Kept>()
  readonly #paused = new Map<string, number>()
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  call(key: string): void {
    const { freshFor, softTimeout, staleOnError } = this.#options
    const kept = this.#usable(this.#kept.get(key))
    const answered = (value: unknown): void =>
      void this.callers.push({ answer: { value }, due: Number.POSITIVE_INFINITY, load: undefined })
    if (kept !== undefined && this.now - kept.made < freshFor) return answered(kept.value)
    const paused = this.now < (this.#paused.get(key) ?? 0)
    const running = this.#joinable(key)
    if (kept !== undefined && softTimeout === 0) {
      if (running === undefined && !paused) this.#begin(key, kept).alone = true
      return answered(kept.value)
    }
    if (kept !== undefined && staleOnError && paused) return answered(kept.value)
    const load = running ?? this.#begin(key, kept)
    const due = load.entry === undefined ? Number.POSITIVE_INFINITY : this.now + softTimeout
    const caller: Caller = { answer: undefined, due, load }
    load.waiters.add(caller)
    this.callers.push(caller)
  }

  end(load: Load, outcome: { value: unknown } | { error: unknown }): void {
    const { key } = load
    const counts = this.current.get(key) === load
    if (counts) this.current.delete(key)
    if (counts && 'value' in outcome) this.#keep(key, outcome.value)
    if (counts && 'error' in outcome && outcome.error === down) {
      this.#paused.set(key, this.now + this.#options.refreshPause)
    }
    for (const caller of load.waiters) {
      const entry = this.#options.staleOnError ? this.#usable(load.entry) : undefined
      const saved = 'error' in outcome && outcome.error === down && entry !== undefined
      caller.answer = saved ? { value: entry.value } : outcome
    }
    load.waiters.clear()
  }

  abort(caller: Caller): void {
    const { load } = caller
    if (caller.answer !== undefined || load === undefined) return
    caller.answer = { error: 'aborted' }
    load.waiters.delete(caller)
    if (load.waiters.size > 0 || load.alone) return
    load.stopped = true
    if (this.current.get(load.key) === load) this.current.delete(load.key)
  }

  advance(ms: number): void {
    const until = this.now + ms
    const impatient = this.callers.filter(({ answer, due }) => !answer && due <= until)
    for (const caller of impatient.sort((a, b) => a.due - b.due)) {
      this.now = caller.due
      const load = caller.load as Load
      const entry = this.#usable(load.entry)
      // It was looked for once: whoever found nothing waits for the call, whatever is set meanwhile.
      caller.due = Number.POSITIVE_INFINITY
      if (entry === undefined) continue
      caller.answer = { value: entry.value }
      load.waiters.delete(caller)
      load.alone = true
    }
    this.now = until
  }

  set(key: string, value: unknown): void {
    this.#overrule(key, { value, made: this.now })
    this.#keep(key, value)
  }

  delete(key: string): void {
    this.#overrule(key, undefined)
    this.#kept.delete(key)
  }

  #overrule(key: string, entry: Kept | undefined): void {
    const load = this.current.get(key)
    if (load !== undefined) load.entry = entry
    this.current.delete(key)
    this.#paused.delete(key)
  }

  #keep(key: string, value: unknown): void {
    this.#kept.set(key, { value, made: this.now })
    this.#paused.delete(key)
  }

  #begin(key: string, entry: Kept | undefined): Load {
    const { finishAlone: alone } = this.#options
    const load: Load = { key, began: this.now, waiters: new Set(), alone, stopped: false, entry }
    this.loads.push(load)
    this.current.set(key, load)
    return load
  }

  #joinable(key: string): Load | undefined {
    const load = this.current.get(key)
    return load && this.now - load.began <= this.#options.joinWithin ? load : undefined
  }

  #usable(kept: Kept | undefined): Kept | undefined {
    return kept && this.now - kept.made < this.#options.staleFor ? kept : undefined
  }
}

describe('a stale cache', () => {
  it('answers, calls and stops as its model does', async () => {
    const histories = fc.array(step, { maxLength: 50 })
    await holds(
      fc.asyncProperty(shape, histories, async (options, history) => {
        const clock = virtualClock()
        const model = new Model(options)
        const cache = staleCache({ key: (id: string) => id, jitter: 0, clock, ...options })
        const working: Gate<unknown>[] = []
        const signals: AbortSignal[] = []
        const calls: Seen<unknown>[] = []
        const callers: AbortController[] = []
        let values = 0
        const product = (id: string): void => {
          const caller = new AbortController()
          callers.push(caller)
          const operation = ({ signal }: { signal: AbortSignal }): Promise<unknown> => {
            const work = gate<unknown>()
            working.push(work)
            signals.push(signal)
            return work.promise
          }
          calls.push(watch(cache.execute(operation, { args: [id], signal: caller.signal })))
        }
        const ended = new Set<number>()
        const end = (choice: number, outcome: { value: unknown } | { error: unknown }): void => {
          const running = working.map((_, n) => n).filter((n) => !ended.has(n))
          const n = running[choice % Math.max(1, running.length)]
          if (n === undefined) return
          ended.add(n)
          model.end(model.loads[n] as Load, outcome)
          if ('value' in outcome) working[n]?.open(outcome.value)
          else working[n]?.fail(outcome.error)
        }

        for (const [kind, choice] of history) {
          const key = keys[choice % keys.length] as string
          if (kind === 'call') {
            model.call(key)
            product(key)
          } else if (kind === 'answer') end(choice, { value: ++values })
          else if (kind === 'fail') end(choice, { error: down })
          else if (kind === 'say no') end(choice, { error: no })
          else if (kind === 'abort') {
            const n = choice % Math.max(1, callers.length)
            if (model.callers[n] !== undefined) model.abort(model.callers[n])
            callers[n]?.abort('aborted')
          } else if (kind === 'set') {
            model.set(key, ++values)
            cache.set(key, values)
          } else if (kind === 'delete') {
            model.delete(key)
            await cache.delete(key)
          } else {
            model.advance(choice)
            await clock.advance(choice)
          }
          await settled()
          expect(calls.map(shown)).toEqual(model.callers.map(({ answer }) => answer))
          expect(signals.map(({ aborted }) => aborted)).toEqual(
            model.loads.map(({ stopped }) => stopped),
          )
          expect(cache.stats()).toMatchObject({
            running: model.current.size,
            loads: model.loads.length - cache.stats().refreshes,
            inFlight: model.callers.filter(({ answer }) => answer === undefined).length,
          })
        }

        while (ended.size < working.length) end(0, { value: 'last' })
        await clock.advance(0)
        expect(calls.filter(({ status }) => status === 'pending')).toEqual([])
        expect(cache.stats()).toMatchObject({ running: 0, inFlight: 0, calls: calls.length })
        for (const { signal } of callers) expect(listenersOn(signal)).toBe(0)
        clock.assertIdle()
      }),
      1_000,
    )
  }, 300_000)
})

function shown({ status, value, reason }: Seen<unknown>): Caller['answer'] {
  if (status === 'pending') return undefined
  return status === 'fulfilled' ? { value } : { error: reason }
}
