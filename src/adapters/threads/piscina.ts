/** The part of piscina that is used here. Nothing of it is imported: the user hands in their own. */

/** A worker thread, as piscina hands it out. */
export interface WorkerLike {
  ref(): void
  on(event: 'error', listener: (error: unknown) => void): unknown
  on(event: 'exit', listener: (code: number) => void): unknown
}

/** What is asked of a piscina. */
export interface PiscinaLike {
  readonly threads: readonly WorkerLike[]
  run(
    task: unknown,
    options: { filename: string; name: string; transferList: never },
  ): Promise<unknown>
  destroy(): Promise<void>
  on(event: 'error' | 'workerDestroy', listener: (argument: unknown) => void): unknown
}

/** The class `Piscina` of the package `piscina`, from 5.0 on. */
export type PiscinaClass = new (options: PiscinaOptionsLike) => PiscinaLike

/** The options that are given to it. */
export interface PiscinaOptionsLike {
  minThreads: number
  maxThreads: number
  concurrentTasksPerWorker: number
  idleTimeout: number
  atomics: 'disabled'
  recordTiming: boolean
  env?: Record<string, string>
  execArgv?: string[]
  resourceLimits?: { maxOldGenerationSizeMb: number }
}
