/**
 * The worker of a queue: looks for jobs when something may be due, takes as many as it has hands and pace for,
 * and looks again when hands become free, when it is woken, or when the store said so.
 */
import { link, unlink } from '../../core/abort.ts'
import { inNextTurn, type Timer } from '../../core/clock.ts'
import type { JobHandler, JobWorker, StopReport } from '../../core/deferred-queue.ts'
import { quiet } from '../../core/events.ts'
import { Hands } from './hands.ts'
import { type ProcessSettings, readStop } from './options.ts'
import { Pace } from './pace.ts'
import { settlesWithin } from './waiting.ts'
import type { Workplace } from './workplace.ts'

/** How soon it asks `ready` again that just said false, in ms. */
const ASK_READY_AGAIN = 250

/** Pauses after the store failed, in ms: the first, and the longest. */
const STORE_PAUSE = 100
const LONGEST_STORE_PAUSE = 5_000

/** How long a worker that stops waits for the store's answer, in ms. */
const BREATH = 1_000

export class Worker implements JobWorker {
  readonly #place: Workplace
  readonly #settings: ProcessSettings
  readonly #hands: Hands
  readonly #pace: Pace
  readonly #unwatch: () => void
  readonly #onStop: () => void
  readonly #linked = {
    hub: undefined,
    previous: undefined,
    next: undefined,
    onAbort: (): void => void this.#stopQuietly(),
  }
  #timer: Timer | undefined
  #looking: Promise<void> | undefined
  #mayHaveMore = false
  #willLook = false
  #isPaused = false
  /** Nothing is taken before this moment, in monotonic ms. */
  #holdUntil = 0
  #storeFailures = 0
  #stopped: Promise<StopReport> | undefined

  /** Looks for nothing yet: whoever makes it says when. */
  constructor(
    place: Workplace,
    handler: JobHandler,
    settings: ProcessSettings,
    onStop: () => void,
  ) {
    this.#onStop = onStop
    this.#place = place
    this.#settings = settings
    this.#pace = new Pace(settings.rateLimit)
    this.#hands = new Hands(place, handler, settings, {
      freed: () => this.#lookSoon(),
      hold: (delay) => this.#hold(delay),
    })
    this.#unwatch = place.store.watch(() => this.#lookSoon())
    const { signal } = settings
    if (signal?.aborted) void this.#stopQuietly()
    else if (signal !== undefined) link(signal, this.#linked)
  }

  get running(): number {
    return this.#hands.size
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.look()
  }

  stop(options?: { readonly timeout?: number | undefined }): Promise<StopReport> {
    const timeout = readStop('worker.stop', options) ?? this.#settings.stopTimeout
    this.#hands.shut(timeout)
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** There may be something to take. */
  look(): void {
    if (this.#looking !== undefined) this.#mayHaveMore = true
    else if (this.#isIdle) this.#lookAt(Number.POSITIVE_INFINITY)
    else this.#looking = this.#look()
  }

  /** Once for all hands that become free in this turn: one taking for many jobs. */
  #lookSoon(): void {
    if (this.#willLook) return
    this.#willLook = true
    inNextTurn(this.#place.queue.clock, () => {
      this.#willLook = false
      this.look()
    })
  }

  get #isIdle(): boolean {
    return this.#stopped !== undefined || this.#isPaused || this.#place.isPaused()
  }

  async #look(): Promise<void> {
    do {
      this.#mayHaveMore = false
      this.#lookAt(await this.#take())
    } while (this.#mayHaveMore && !this.#isIdle)
    this.#looking = undefined
  }

  /** Takes what can be taken; returns in how many ms to look again. */
  async #take(): Promise<number> {
    const { store, voice, queue } = this.#place
    const now = queue.clock.now()
    const { pause, room } = this.#roomAt(now)
    if (room < 1) return pause
    const step = voice.step()
    try {
      const { jobs, lookAgain } = await store.take(room, this.#settings.leaseTime)
      this.#storeFailures = 0
      voice.storeWorks()
      // From when they begin: a store that was slow to give them has not saved anything up.
      this.#pace.note(jobs.length, queue.clock.now())
      // Paused while the store was asked: they go back as if they had not been taken.
      for (const job of jobs) this.#hands.begin(job, now, this.#isIdle)
      if (jobs.length === room) this.#mayHaveMore = true
      // Never in a circle without a breath: what is due may be in somebody else's hands each time.
      return Math.max(lookAgain, 1)
    } catch (error) {
      voice.storeFailed(step, error)
      const pause = STORE_PAUSE * 2 ** Math.min(this.#storeFailures++, 10)
      return Math.min(pause, LONGEST_STORE_PAUSE) * (0.8 + 0.4 * queue.random())
    }
  }

  /** How many jobs may be taken now, or in how many ms to ask again. */
  #roomAt(now: number): { readonly room: number; readonly pause: number } {
    const free = this.#hands.room(this.#settings.maxConcurrent())
    if (free < 1) return { room: 0, pause: Number.POSITIVE_INFINITY }
    const pause = Math.max(this.#holdUntil - now, this.#askReady())
    if (pause > 0) return { room: 0, pause }
    const room = Math.min(free, this.#pace.allowed(now))
    return { room, pause: this.#pace.wait(now) }
  }

  #askReady(): number {
    const { ready } = this.#settings
    if (ready === undefined) return 0
    let answer: boolean | number
    try {
      answer = quiet(ready())
    } catch {
      answer = false
    }
    if (answer === true) return 0
    return typeof answer === 'number' && answer >= 0 ? Math.max(answer, 1) : ASK_READY_AGAIN
  }

  #hold(delay: number): void {
    this.#holdUntil = Math.max(this.#holdUntil, this.#place.queue.clock.now() + delay)
  }

  #lookAt(delay: number): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#isIdle || delay === Number.POSITIVE_INFINITY) return
    this.#timer = this.#place.queue.clock.setTimer(() => this.look(), delay)
  }

  async #stop(): Promise<StopReport> {
    this.#unwatch()
    this.#timer?.cancel()
    unlink(this.#linked)
    // What is being taken must come into these hands, to be handed back.
    if (this.#looking !== undefined)
      await settlesWithin(this.#place.queue.clock, this.#looking, BREATH)
    const handedBack = await this.#hands.lay()
    this.#onStop()
    return { handedBack }
  }

  async #stopQuietly(): Promise<void> {
    await this.stop()
  }
}
