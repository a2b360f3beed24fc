/** Thread pools over real worker threads, from the sources as they are now; closed when a test has ended. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildSync } from 'esbuild'
import {
  type PiscinaClass,
  type ThreadPoolOptions,
  type ThreadPools,
  type ThreadPoolsOptions,
  taskModule,
  threadPools,
} from 'holdfast/threads'
import { afterAll, afterEach, beforeAll, onTestFinished } from 'vitest'
import { root } from './repository.ts'

const piscina = createRequire(import.meta.url)('piscina') as { Piscina: PiscinaClass }
export const Piscina: PiscinaClass = piscina.Piscina

/** The functions of {@link tasks}, as far as tests name them. */
export type Tasks = Record<string, (task: never) => unknown>

export const tasks: URL = new URL('threads/tasks.js', import.meta.url)

/** A module in its own URL. */
export const inline = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`

/** What is bundled once, since no Node of ours runs the TypeScript of a thread. */
export interface Built {
  readonly entry: URL
  readonly library: URL
  remove(): void
}

export function build(): Built {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-threads-'))
  const one = (source: string, name: string): URL => {
    const outfile = join(folder, name)
    const options = { bundle: true, format: 'esm', platform: 'node', target: 'es2022' } as const
    buildSync({ ...options, entryPoints: [join(root, source)], outfile })
    return pathToFileURL(outfile)
  }
  return {
    entry: one('src/adapters/threads/worker.ts', 'worker.mjs'),
    library: one('src/adapters/threads/index.ts', 'threads.mjs'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** For snippets of the docs: writes the module beside the snippet, and hands in what its reader has installed. */
export function prepare(
  snippet: string,
  name: string,
  text: string,
): { Piscina: PiscinaClass; threadPools: typeof threadPools } {
  writeFileSync(new URL(name, snippet), text)
  const built = build()
  onTestFinished(() => built.remove())
  return {
    Piscina,
    threadPools: (pools, options) => {
      const made = threadPools(pools, { entry: built.entry, ...options })
      onTestFinished(async () => void (await made.close()))
      return made
    },
  }
}

export interface Rig {
  readonly built: Built
  /** As `threadPools`, with what these tests have to hand in, and closed after the test. */
  pools<M extends object>(
    shape: { readonly [Name in keyof M]: ThreadPoolOptions<M[Name]> },
    options?: Partial<ThreadPoolsOptions>,
  ): ThreadPools<M>
  /** One pool, named `work`, of {@link tasks}. */
  work(
    options?: Partial<ThreadPoolOptions>,
    shared?: Partial<ThreadPoolsOptions>,
  ): ThreadPools<{ work: unknown }>
}

/** To be called at the top of a test file. */
export function useThreads(): Rig {
  let built: Built
  const open: { close(options: { timeout: number }): Promise<unknown> }[] = []
  beforeAll(() => {
    built = build()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close({ timeout: 0 })))
  })
  afterAll(() => built.remove())
  const pools: Rig['pools'] = (shape, options = {}) => {
    const made = threadPools(shape, { Piscina, entry: built.entry, ...options })
    open.push(made)
    return made
  }
  return {
    get built() {
      return built
    },
    pools,
    work: (options, shared) =>
      pools({ work: { module: tasks, threads: 1, ...options } as ThreadPoolOptions }, shared),
  }
}

export { taskModule }

/** Shared memory by which tasks tell that they have begun, and are told to end. */
export class Begun {
  readonly began: Int32Array = new Int32Array(new SharedArrayBuffer(8))

  /** Resolves when `count` tasks have begun. */
  times(count = 1): Promise<void> {
    return until(() => Atomics.load(this.began, 0) >= count)
  }

  /** Lets those end that wait for it. */
  release(): void {
    Atomics.store(this.began, 1, 1)
    Atomics.notify(this.began, 1)
  }
}

/** Resolves when `isSo`; the test's own limit ends it otherwise. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2))
}
