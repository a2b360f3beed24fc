/** The parts of BullMQ 6 that are used here, by shape: nothing of it is imported. */

/** What the user hands over: `import * as bullmq from 'bullmq'`, or its two classes alone. */
export interface BullMQ {
  readonly Queue: new (name: string, options: never, backend?: never) => BullObject
  readonly Worker: new (
    name: string,
    processor: never,
    options: never,
    backend?: never,
  ) => BullObject
}

/** What a queue and a worker of BullMQ have in common. */
export interface BullObject {
  close(): Promise<unknown>
  disconnect(): Promise<unknown>
  getBackend(): object
  waitUntilReady(): Promise<unknown>
}

/** A job as BullMQ takes it. */
export interface BulkEntry {
  readonly name: string
  readonly data: unknown
  readonly opts: Readonly<Record<string, unknown>>
}

/** A queue of BullMQ, as far as it is used. */
export interface BullQueue extends BullObject {
  on(event: 'error', listener: (error: Error) => void): unknown
  add(name: string, data: unknown, opts: Readonly<Record<string, unknown>>): Promise<unknown>
  addBulk(jobs: readonly BulkEntry[]): Promise<unknown>
  getRanges(
    types: readonly string[],
    start: number,
    end: number,
    asc: boolean,
  ): Promise<readonly string[]>
  getBackend(): BullBackend
}

/** A worker of BullMQ without a processor: jobs are taken by hand. */
export interface BullWorker extends BullObject {
  on(event: 'error', listener: (error: Error) => void): unknown
  getBackend(): BullBackend
  close(force?: boolean): Promise<unknown>
}

/** A job as the backend has it. */
export interface BullJob {
  readonly id?: string
  readonly data?: string
  readonly timestamp?: number
  readonly attemptsMade?: number
  readonly stalledCounter?: number
  readonly processedOn?: number
  readonly finishedOn?: number
  readonly failedReason?: string
  readonly returnvalue?: string
  readonly stacktrace?: string
}

/** Who ends a job, as far as the backend looks at it. */
export interface EndedJob {
  readonly id: string
  readonly opts: Readonly<Record<string, unknown>>
}

/** BullMQ's door to its datastore, the same for Redis and PostgreSQL (`IQueueBackend`). */
export interface BullBackend {
  moveToActive(
    token: string,
    name?: string,
  ): Promise<readonly [job?: BullJob | null, id?: string, limited?: number, delayedUntil?: number]>
  moveToCompleted(
    job: EndedJob,
    result: unknown,
    keep: unknown,
    token: string,
    fetchNext: boolean,
  ): Promise<unknown>
  moveToFailed(
    job: EndedJob,
    reason: string,
    keep: unknown,
    token: string,
    fetchNext: boolean,
    fields: Readonly<Record<string, string>>,
  ): Promise<unknown>
  moveToDelayed(
    id: string,
    timestamp: number,
    delay: number,
    token: string,
    options: {
      readonly skipAttempt: boolean
      readonly fieldsToUpdate?: Readonly<Record<string, string>>
    },
  ): Promise<unknown>
  moveStalledJobsToWait(): Promise<readonly string[]>
  retryFinishedJob(
    job: EndedJob,
    state: 'failed',
    options: { readonly resetAttemptsMade: boolean; readonly resetAttemptsStarted: boolean },
  ): Promise<void>
  extendLock(id: string, token: string, duration: number): Promise<number>
  promote(id: string): Promise<void>
  remove(id: string, removeChildren: boolean): Promise<number>
  updateData(job: EndedJob, data: unknown): Promise<void>
  getJobData(id: string): Promise<BullJob | undefined>
  getState(id: string): Promise<string>
  getRanges(
    types: readonly string[],
    start: number,
    end: number,
    asc: boolean,
  ): Promise<readonly (readonly string[])[]>
  forQueue(name: string): BullBackend
  addJob(job: object, id: string): Promise<string>
  getCounts(types: readonly string[]): Promise<readonly number[]>
  addLog(id: string, row: string): Promise<number>
  clearLogs(id: string, keep?: number): Promise<void>
  getJobLogs(
    id: string,
    start: number,
    end: number,
    asc: boolean,
  ): Promise<{ readonly logs: readonly string[]; readonly count: number }>
  waitForJob(seconds: number): Promise<{ readonly score: number } | null>
}
