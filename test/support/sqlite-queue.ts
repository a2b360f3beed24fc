/** SQLite queues in processes of their own: what only the death of a process can show. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { root } from './repository.ts'

/** A folder with a database file, a history, and the library in one file. */
export interface QueueSite {
  readonly file: string
  /** What a process imports: the library in one file, and the driver. */
  readonly library: string
  readonly driver: string
  start(options: Partial<ChildOptions> & { readonly name: string }): Promise<QueueChild>
  /** What the processes wrote down, in the order in which they did. */
  history(): Promise<Line[]>
  remove(): Promise<void>
}

export interface ChildOptions {
  readonly producers: number
  readonly jobsEach: number
  /** Jobs at a time; 0 for a process that only enqueues. */
  readonly workers: number
  readonly leaseTime: number
  /** Longest time a job takes, in ms. */
  readonly work: number
  /** Stops itself, as SIGSTOP does, when it begins its n-th job; never in the middle of a transaction. */
  readonly freezeAt: number
  /** Ends by itself when the queue is empty. */
  readonly drain: boolean
}

export interface QueueChild {
  readonly process: ChildProcess
  readonly ended: Promise<number | null>
  kill(): Promise<void>
}

/** `what` happened to `id` in process `pid`. */
export interface Line {
  readonly what: string
  readonly id: string
  readonly pid: number
  readonly attempt: number
}

export async function queueSite(): Promise<QueueSite> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-kill-'))
  const library = join(folder, 'sqlite.mjs')
  const entryPoints = [join(root, 'src/adapters/sqlite/sqlite.ts')]
  await build({ entryPoints, outfile: library, bundle: true, format: 'esm', target: 'es2022' })
  const history = join(folder, 'history')
  const children: QueueChild[] = []
  const site = {
    file: join(folder, 'jobs.db'),
    library: pathToFileURL(library).href,
    driver: import.meta.resolve('@photostructure/sqlite'),
  }
  return {
    ...site,
    start: async (options) => {
      const given = {
        producers: 0,
        jobsEach: 0,
        workers: 0,
        leaseTime: 30_000,
        work: 5,
        drain: false,
        freezeAt: 0,
      }
      const child = await startChild({ ...site, history, ...given, ...options })
      children.push(child)
      return child
    },
    history: async () =>
      (await readFile(history, 'utf8').catch(() => '')).split('\n').filter(Boolean).map(lineOf),
    remove: async () => {
      await Promise.all(children.map((child) => child.kill()))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function startChild(options: object): Promise<QueueChild> {
  const script = join(root, 'test/support/queue-child.mjs')
  const env = { ...process.env, NODE_OPTIONS: '' }
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { env })
  let stderr = ''
  child.stderr.on('data', (data) => {
    stderr += data
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve())
    void ended.then((code) =>
      reject(new Error(`ended with ${code} before it was ready: ${stderr}`)),
    )
  })
  return {
    process: child,
    ended: ended.then((code) => {
      if (code !== 0 && code !== null) throw new Error(`ended with ${code}: ${stderr}`)
      return code
    }),
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    },
  }
}

function lineOf(text: string): Line {
  const [what = '', id = '', pid, attempt] = text.split(' ')
  return { what, id, pid: Number(pid), attempt: Number(attempt) }
}
