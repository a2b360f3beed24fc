/**
 * A piscina without threads, for histories by the thousand: a worker does what the history says, when it
 * says so, and complains about whatever no thread could stand.
 */
import type { MessagePort } from 'node:worker_threads'
import type { PiscinaClass, PiscinaLike, WorkerLike } from 'holdfast/threads'

interface Order {
  readonly name: string
  readonly task?: unknown
  readonly port?: MessagePort
}

type Listener = (argument: never) => void

/** All workers of a history, dead or alive. */
export class Floor {
  readonly workers: FakeWorker[] = []
  /** Called with each task that reaches a worker. */
  onTask: (task: unknown) => void = () => {}

  get live(): FakeWorker[] {
    return this.workers.filter((worker) => !worker.gone)
  }

  get Piscina(): PiscinaClass {
    const floor = this
    return class implements PiscinaLike {
      readonly #worker = new FakeWorker()

      get threads(): readonly WorkerLike[] {
        return this.#worker.hired && !this.#worker.told ? [this.#worker] : []
      }

      run(order: Order, { name }: { name: string }): Promise<unknown> {
        const worker = this.#worker
        if (name === 'start') {
          worker.hired = true
          floor.workers.push(worker)
        } else floor.onTask(order.task)
        return worker.take(name === 'start' ? { ...order, name: 'start' } : order)
      }

      async destroy(): Promise<void> {
        this.#worker.told = true
        this.#worker.letGo(new Error('Terminating worker thread'))
      }

      on(event: string, listener: Listener): void {
        if (event === 'workerDestroy') this.#worker.on('leaving', listener)
      }
    } as unknown as PiscinaClass
  }
}

export class FakeWorker implements WorkerLike {
  hired = false
  /** Told to end. */
  told = false
  gone = false
  ready = false
  /** What it does at this moment. */
  order: Order | undefined
  /** Everything that no thread could stand. */
  readonly complaints: string[] = []
  readonly #listeners: Record<string, Listener[]> = {}
  #settle: { resolve(value: unknown): void; reject(error: unknown): void } | undefined
  #port: MessagePort | undefined

  ref(): void {}

  on(event: string, listener: Listener): void {
    this.#listeners[event] = [...(this.#listeners[event] ?? []), listener]
  }

  take(order: Order): Promise<unknown> {
    if (this.order !== undefined) this.complaints.push('two orders at the same time')
    if (this.told || this.gone) this.complaints.push('an order for a dead thread')
    if (order.name !== 'start' && !this.ready) this.complaints.push('a task before the module')
    this.order = order
    this.#port ??= order.port
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  /** Ends its order, in either of the two ways in which answers travel. */
  answer(reply: object, ahead: boolean): void {
    const settle = this.#settle
    if (this.order?.name === 'start' && 'ok' in reply && reply.ok === true) this.ready = true
    this.order = undefined
    this.#settle = undefined
    if (ahead) this.#port?.postMessage(reply)
    settle?.resolve(ahead ? undefined : reply)
  }

  /** As a worker that dies: error, then exit. */
  crash(error?: unknown): void {
    if (error !== undefined) this.#emit('error', error)
    this.letGo(error ?? new Error('worker exited'))
    this.leave(1)
  }

  /** Its order will not be answered. */
  letGo(error: unknown): void {
    this.#emit('leaving', undefined)
    this.order = undefined
    this.#settle?.reject(error)
    this.#settle = undefined
  }

  /** The thread has really gone. */
  leave(code: number): void {
    this.gone = true
    this.#emit('exit', code)
  }

  #emit(event: string, argument: unknown): void {
    for (const listener of this.#listeners[event] ?? []) listener(argument as never)
  }
}
