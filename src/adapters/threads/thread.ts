/**
 * One thread, from its start to its end: a piscina of one worker. What it is asked is answered, or fails
 * when the thread has really gone; never silently, and never twice.
 *
 * Piscina's own queue, balancer, replacement and abort handling are left aside: they neither say when a
 * task begins nor pace replacement, and an abort that meets its result ends the process there.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { type Deferred, deferred } from '../../core/deferred.ts'
import type { PiscinaClass, PiscinaLike, WorkerLike } from './piscina.ts'
import { fromWire, type Reply } from './wire.ts'
import type { Errand, Start } from './worker.ts'

/** What a thread is made of. */
export interface ThreadSettings {
  readonly Piscina: PiscinaClass
  /** File URL of the worker side. */
  readonly entry: string
  /** Of the pool, for messages. */
  readonly name: string
  readonly module: string
  readonly memoryLimitMb: number | undefined
  readonly env: Readonly<Record<string, string | undefined>> | undefined
  readonly execArgv: readonly string[] | undefined
}

/** How a thread came to its end. */
export interface ThreadEnd {
  /** What it died of, if it was not just ended. */
  readonly fault: unknown
  /** It was ended by us. */
  readonly ordered: boolean
  readonly exitCode: number
}

/** The thread has gone before it could answer. */
export class ThreadGone extends Error {
  readonly end: ThreadEnd

  constructor(end: ThreadEnd) {
    super('the thread has ended')
    this.end = end
  }
}

/** What was to be sent could not be cloned; the thread has not seen it. */
export class NotSent extends Error {}

export class Thread {
  /** Resolves when the thread has gone, for whatever reason. */
  readonly gone: Promise<ThreadEnd>
  /** It can be given work. */
  alive = true
  /** It was told to end. */
  ordered = false
  readonly #piscina: PiscinaLike
  readonly #port: MessagePort
  readonly #theirs: MessagePort
  readonly #settings: ThreadSettings
  readonly #ending: Deferred<ThreadEnd> = deferred()
  #worker: WorkerLike | undefined
  #pending: Deferred<Reply | undefined> | undefined
  #fault: unknown
  #tasks = 0

  constructor(settings: ThreadSettings) {
    const { Piscina, memoryLimitMb, env, execArgv } = settings
    this.#settings = settings
    this.gone = this.#ending.promise
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    this.#theirs = port2
    this.#piscina = new Piscina({
      minThreads: 0,
      maxThreads: 1,
      concurrentTasksPerWorker: 1,
      // Idle threads are ended by whoever holds them.
      idleTimeout: Number.POSITIVE_INFINITY,
      // Its other modes block the event loop of an idle thread, and read answers at moments of their own.
      atomics: 'disabled',
      recordTiming: false,
      ...(env && { env: env as Record<string, string> }),
      ...(execArgv && { execArgv: [...execArgv] }),
      ...(memoryLimitMb !== undefined && {
        resourceLimits: { maxOldGenerationSizeMb: memoryLimitMb },
      }),
    })
    // An 'error' that nobody hears would end the process.
    this.#piscina.on('error', (error) => {
      this.#fault ??= error
    })
    this.#piscina.on('workerDestroy', () => {
      this.alive = false
    })
  }

  /** Brings the thread up and loads its module. Rejects with what the module failed with, or `ThreadGone`. */
  async start(): Promise<void> {
    const { module, name: pool } = this.#settings
    const order: Start = { module, pool, port: this.#theirs }
    await this.#ask('start', order, [this.#theirs])
  }

  /** Runs one task. Rejects with what the task threw, `ThreadGone` or `NotSent`. One at a time. */
  run(name: string, task: unknown, transfer: readonly object[]): Promise<unknown> {
    const errand: Errand = { id: ++this.#tasks, name, task }
    return this.#ask('perform', errand, transfer)
  }

  /** Lets the running task know that nobody wants it any more. */
  tellToStop(): void {
    this.#port.postMessage(this.#tasks)
  }

  /** Ends the thread, whatever it is doing, and resolves when it has gone. */
  async end(): Promise<ThreadEnd> {
    this.ordered ||= this.alive
    this.alive = false
    // One that could not even be made has left its first task in piscina's queue, where nobody has its
    // promise: a piscina that is told to end would reject it for all to hear.
    if (this.#worker === undefined) this.#die(this.#fault, 0)
    else {
      // Whoever waits for the end must not see the process end before.
      this.#worker.ref()
      void this.#piscina.destroy()
    }
    return this.gone
  }

  async #ask(
    name: 'start' | 'perform',
    order: object,
    transfer: readonly object[],
  ): Promise<unknown> {
    const asked = deferred<Reply | undefined>()
    this.#pending = asked
    let reply: Reply | undefined
    try {
      const { entry: filename } = this.#settings
      const done = this.#piscina.run(order, { filename, name, transferList: transfer as never })
      if (name === 'start') this.#watch()
      done.then(asked.resolve as (reply: unknown) => void, asked.reject)
      reply = await asked.promise
    } catch (error) {
      if (!this.alive) throw new ThreadGone(await this.gone)
      if (name === 'start') throw error
      throw new NotSent('not sent', { cause: error })
    } finally {
      this.#pending = undefined
    }
    reply ??= this.#readAnswer()
    if (reply.ok) return reply.value
    throw fromWire(reply.error)
  }

  /** It was sent before piscina's own word that the task has ended, so it is there by now. */
  #readAnswer(): Reply {
    const received = receiveMessageOnPort(this.#port) as { message: Reply } | undefined
    if (received === undefined) throw new Error('the thread gave no answer')
    return received.message
  }

  /** The worker itself says when it has gone and with which code; piscina drops both on the way. */
  #watch(): void {
    const [worker] = this.#piscina.threads
    this.#worker = worker
    worker?.on('error', (error) => {
      this.#fault = error
    })
    worker?.on('exit', (code) => this.#die(this.#fault, code))
  }

  #die(fault: unknown, exitCode: number): void {
    this.alive = false
    this.#port.close()
    this.#ending.resolve({ fault, exitCode, ordered: this.ordered })
    // A thread that dies before it is ready leaves its first task in piscina's queue for ever.
    this.#pending?.reject(fault)
  }
}
