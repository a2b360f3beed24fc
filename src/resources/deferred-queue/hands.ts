/**
 * The jobs in the hands of one worker: begun, kept by renewing their leases, and ended in the store.
 * A job leaves these hands in one of three ways: its end is stored, it is handed back, or its lease is lost,
 * and then nothing of it is stored.
 */
import type { Timer } from '../../core/clock.ts'
import type { DeadReason, Job, JobHandler } from '../../core/deferred-queue.ts'
import { type JobChanged, quiet } from '../../core/events.ts'
import type { ProcessSettings } from './options.ts'
import { Patience } from './patience.ts'
import { parse } from './payload.ts'
import { Run } from './run.ts'
import type { Settlement, TakenJob } from './store.ts'
import { Judge, recordOf, type Verdict } from './verdict.ts'
import { settlesWithin } from './waiting.ts'
import type { Workplace } from './workplace.ts'

/** How long a handler may take to end after its signal was aborted, before its job is handed back, in ms. */
const GRACE = 1_000

/** Pauses before the store is told again what it could not be told, in ms: the first, and the longest. */
const TELL_AGAIN = 50
const LONGEST_TELL_AGAIN = 2_000

/** What a worker wants to know of its hands. */
export interface HandsListener {
  /** A hand is free. */
  freed(): void
  /** Nothing more is to be taken for so long, in ms. */
  hold(delay: number): void
}

export class Hands {
  readonly #place: Workplace
  readonly #handler: JobHandler
  readonly #settings: ProcessSettings
  readonly #listener: HandsListener
  readonly #judge: Judge
  readonly #patience: Patience
  readonly #runs = new Set<Run>()
  /** Those whose handlers have not ended. */
  #atWork = 0
  #renewal: Timer | undefined
  #isShut = false
  #isLaid = false
  #handedBack = 0
  #onEmpty: (() => void) | undefined

  constructor(
    place: Workplace,
    handler: JobHandler,
    settings: ProcessSettings,
    listener: HandsListener,
  ) {
    this.#place = place
    this.#handler = handler
    this.#settings = settings
    this.#listener = listener
    this.#judge = new Judge(settings, place.queue.random)
    this.#patience = new Patience(place.queue.clock)
  }

  get size(): number {
    return this.#runs.size
  }

  /**
   * How many more may be begun. A hand is free when its handler has ended: the next is taken while the end is
   * still being stored, in the same step where the store can. Twice as many at most, should the store be slow.
   */
  room(maxConcurrent: number): number {
    return Math.min(maxConcurrent - this.#atWork, 2 * maxConcurrent - this.#runs.size)
  }

  begin(taken: TakenJob, takenAt: number, isUnwanted = false): void {
    const { name, clock } = this.#place.queue
    const run = new Run(name, taken, takenAt, clock.now())
    this.#runs.add(run)
    this.#atWork++
    this.#renewal ??= clock.setTimer(this.#renew, this.#settings.leaseTime / 4)
    void this.#work(run, isUnwanted).then(() => this.#release(run))
    // It came when nobody waited any more: it is handed back now, or when its lease runs out.
    if (this.#isLaid) void this.#letGo(run)
  }

  /** Begins nothing any more, and is patient for so long at most: what still comes is handed back. */
  shut(timeout: number): void {
    this.#isShut = true
    this.#patience.shorten(timeout)
  }

  /** Waits until all have ended; when patience is over tells them to; a breath later hands the rest back. */
  async lay(): Promise<number> {
    if (!(await this.#patience.outlasts(this.#emptied()))) {
      for (const run of this.#runs) run.stop()
      await settlesWithin(this.#place.queue.clock, this.#emptied(), GRACE)
      await Promise.all([...this.#runs].map(this.#letGo))
    }
    this.#isLaid = true
    this.#renewal?.cancel()
    return this.#handedBack
  }

  /** Never rejects: nobody waits for it. */
  async #work(run: Run, isUnwanted: boolean): Promise<void> {
    const { taken } = run
    if (this.#isShut) return this.#handBack(run)
    if (isUnwanted) return this.#postpone(run, 0, 'paused')
    const read = parse(taken.payload)
    const obstacle = this.#obstacleTo(taken, read === undefined)
    if (obstacle !== undefined) return this.#setAside(run, obstacle, false)
    if (!this.#hasAllowance(taken)) {
      return this.#postpone(run, this.#pauseBefore(taken.attempts - 1), 'budget')
    }
    const deadline = this.#monotonic(taken.context.deadline)
    const job = run.jobOf(read?.payload, this.#settings.maxAttempts, deadline)
    this.#place.voice.tell({ change: 'started', id: taken.id, attempt: taken.attempts })
    try {
      await this.#handler(job)
    } catch (error) {
      return this.#fail(run, job, error)
    }
    this.#judge.forget(taken.id)
    return this.#end(run, { kind: 'completed', at: this.#wallTime() }, { change: 'completed' })
  }

  #obstacleTo({ context, attempts }: TakenJob, isUnreadable: boolean): DeadReason | undefined {
    if (isUnreadable) return 'unreadable'
    if (attempts > this.#settings.maxAttempts) return 'max-attempts'
    const isLate = context.deadline !== undefined && context.deadline <= this.#wallTime()
    return isLate ? 'expired' : undefined
  }

  /** A budget that throws gives nothing, and takes nothing from a job's first attempt. */
  #hasAllowance({ attempts }: TakenJob): boolean {
    const { budget } = this.#settings
    if (budget === undefined) return true
    try {
      if (attempts > 1) return quiet(budget.tryWithdraw()) === true
      quiet(budget.deposit())
    } catch {
      return attempts <= 1
    }
    return true
  }

  #pauseBefore(retry: number): number {
    try {
      return this.#judge.delayBefore(retry)
    } catch {
      return LONGEST_TELL_AGAIN
    }
  }

  async #fail(run: Run, job: Job, error: unknown): Promise<void> {
    if (run.isLost) return
    if (run.isStopping) return this.#handBack(run)
    const verdict = this.#verdictOn(error, job)
    if (verdict.kind === 'dead') return this.#setAside(run, verdict.reason, true, error)
    const { delay } = verdict
    if (verdict.kind === 'postpone') {
      this.#listener.hold(delay)
      return this.#postpone(run, delay, 'rejected', error)
    }
    const at = this.#wallTime()
    const record = recordOf(error, run.taken.attempts, at)
    const end: Settlement = { kind: 'again', dueAt: at + delay, counts: true, error: record }
    return this.#end(run, end, { change: 'retry', delay, error })
  }

  /** A hook that throws must not lose the job, nor let it run for ever. */
  #verdictOn(error: unknown, job: Job): Verdict {
    try {
      return this.#judge.judge(error, job)
    } catch {
      return job.attempt >= this.#settings.maxAttempts
        ? { kind: 'dead', reason: 'max-attempts' }
        : { kind: 'retry', delay: LONGEST_TELL_AGAIN }
    }
  }

  #setAside(run: Run, reason: DeadReason, counts: boolean, error?: unknown): Promise<void> {
    const at = this.#wallTime()
    const record = counts ? recordOf(error, run.taken.attempts, at) : undefined
    const facts = counts ? { reason, error } : { reason }
    const end: Settlement = { kind: 'dead', at, reason, counts, error: record }
    return this.#end(run, end, { change: 'dead', ...facts })
  }

  #postpone(run: Run, delay: number, reason: string, error?: unknown): Promise<void> {
    const dueAt = this.#wallTime() + delay
    const end: Settlement = { kind: 'again', dueAt, counts: false, error: undefined }
    const facts = error === undefined ? { reason } : { reason, error }
    return this.#end(run, end, { change: 'postponed', delay, ...facts })
  }

  #handBack(run: Run): Promise<void> {
    this.#handedBack++
    const dueAt = this.#wallTime()
    const end: Settlement = { kind: 'again', dueAt, counts: false, error: undefined }
    return this.#end(run, end, { change: 'handed-back', reason: 'stopped' })
  }

  /** Stores how a run ended, for as long as its lease is ours, and tells it. */
  async #end(
    run: Run,
    end: Settlement,
    facts: Omit<JobChanged, 'type' | 'policy' | 'at' | 'id'>,
  ): Promise<void> {
    const { store, voice, queue } = this.#place
    const duration = queue.clock.now() - run.startedAt
    this.#free(run)
    for (let pause = TELL_AGAIN; !run.isLost; pause = Math.min(2 * pause, LONGEST_TELL_AGAIN)) {
      const step = voice.step()
      try {
        const isOurs = await store.settle(run.taken, end)
        voice.storeWorks()
        if (!isOurs) return this.#lost(run, 'its lease had run out')
        const { id, attempts: attempt } = run.taken
        return voice.tell({ id, attempt, duration, ...facts })
      } catch (error) {
        voice.storeFailed(step, error)
        await this.#pause(pause)
      }
    }
  }

  readonly #letGo = async (run: Run): Promise<void> => {
    if (!run.isLost && !run.isEnding) {
      await settlesWithin(this.#place.queue.clock, this.#handBack(run), GRACE)
    }
    run.lose('its worker has stopped')
  }

  readonly #renew = (): void => {
    const { leaseTime } = this.#settings
    this.#renewal = this.#place.queue.clock.setTimer(this.#renew, leaseTime / 4)
    for (const run of this.#runs) if (!run.isLost) void this.#renewOne(run, leaseTime)
  }

  async #renewOne(run: Run, leaseTime: number): Promise<void> {
    const { store, voice, queue } = this.#place
    const askedAt = queue.clock.now()
    const step = voice.step()
    try {
      const isOurs = await store.renew(run.taken, leaseTime)
      voice.storeWorks()
      if (isOurs) run.heldAt = askedAt
      else if (!run.isEnding && !run.isLost) this.#lost(run, 'its lease had run out')
    } catch (error) {
      voice.storeFailed(step, error)
      const isOver = queue.clock.now() - run.heldAt >= leaseTime
      if (isOver && !run.isLost) this.#lost(run, 'its lease could not be renewed in time')
    }
  }

  #lost(run: Run, why: string): void {
    if (!this.#runs.has(run)) return
    run.lose(why)
    const { id, attempts: attempt } = run.taken
    this.#place.voice.tell({ change: 'lease-lost', id, attempt, reason: why })
  }

  #free(run: Run): void {
    if (run.isEnding) return
    run.isEnding = true
    this.#atWork--
    this.#listener.freed()
  }

  #release(run: Run): void {
    this.#runs.delete(run)
    this.#free(run)
    if (this.#runs.size === 0) {
      this.#renewal?.cancel()
      this.#renewal = undefined
      this.#onEmpty?.()
    }
    this.#listener.freed()
  }

  async #emptied(): Promise<void> {
    if (this.#runs.size === 0) return
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve
    })
  }

  readonly #pause = (delay: number): Promise<void> =>
    new Promise((resolve) => this.#place.queue.clock.setTimer(resolve, delay))

  #monotonic(wallTime: number | undefined): number {
    if (wallTime === undefined) return Number.POSITIVE_INFINITY
    return this.#place.queue.clock.now() + (wallTime - this.#wallTime())
  }

  #wallTime(): number {
    return this.#place.queue.clock.wallTime()
  }
}
