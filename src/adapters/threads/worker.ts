/**
 * The side of a thread: loads the user's module, calls its functions, and answers with something that can
 * always be sent. Loaded by piscina in each thread; not a part of the public door.
 */
import type { MessagePort } from 'node:worker_threads'
import { nearestName } from '../../core/nearest-name.ts'
import { type Reply, toWire } from './wire.ts'

/** What a thread is told at first. */
export interface Start {
  /** The user's module, as a URL. */
  readonly module: string
  /** The pool, for messages. */
  readonly pool: string
  /** Answers go out here, and word of an abort comes in. */
  readonly port: MessagePort
}

/** A task. */
export interface Errand {
  /** Counts the tasks of a thread. */
  readonly id: number
  /** Which function of the module. */
  readonly name: string
  readonly task: unknown
}

/** What a task function is given besides its task. */
export interface TaskContext {
  /** Aborted when the caller has aborted or the time is over, if the pool has an `abortGrace`. */
  readonly signal: AbortSignal
}

let home: (Start & { readonly functions: Readonly<Record<string, unknown>> }) | undefined
let current: AbortController | undefined
let running = 0
/** The last task that nobody wants any more. Word of it travels apart from tasks, and may come late. */
let unwanted = 0

/** Loads the module; fails as the module fails. */
export async function start(order: Start): Promise<void> {
  const { module, port } = order
  try {
    const functions = (await import(module)) as Record<string, unknown>
    home = { ...order, functions }
    port.on('message', (id: number) => {
      unwanted = id
      if (id === running) current?.abort(noLongerWanted())
    })
    // Whether the thread lives on is not for this port to say.
    port.unref()
    answer(port, { ok: true, value: undefined })
  } catch (error) {
    answer(port, { ok: false, error: toWire(error) })
  }
}

/**
 * Does one task. Settles well in any case: how the task ended is in the answer. One that can be sent for
 * certain is returned, and travels with piscina's own word that the task has ended; any other goes ahead of
 * that, since a result that cannot be cloned would take piscina's worker down.
 */
export async function perform({ id, name, task }: Errand): Promise<Reply | undefined> {
  if (home === undefined) throw new Error('a task came before its module')
  const { port, functions } = home
  running = id
  current = undefined
  let own: AbortController | undefined
  const context: TaskContext = {
    get signal() {
      own ??= new AbortController()
      if (unwanted === id) own.abort(noLongerWanted())
      if (running === id) current = own
      return own.signal
    },
  }
  let reply: Reply
  let transfer: readonly object[] = []
  try {
    const outcome: unknown = await functionNamed(functions, name)(task, context)
    const movable = movableOf(outcome)
    transfer = movable === undefined ? [] : [movable.transferable].flat()
    reply = { ok: true, value: movable === undefined ? outcome : movable.value }
    if (isPlain(outcome)) return reply
  } catch (error) {
    reply = { ok: false, error: toWire(error) }
  }
  answer(port, reply, transfer, `thread pool "${home.pool}": the result of task "${name}"`)
  return undefined
}

/** Whether it can be cloned, as far as that is seen at a glance. */
function isPlain(value: unknown): boolean {
  if (typeof value === 'object') return value === null
  return typeof value !== 'function' && typeof value !== 'symbol'
}

function noLongerWanted(): DOMException {
  return new DOMException('the task is no longer wanted', 'AbortError')
}

/** Sends an answer that arrives in any case: what cannot be cloned becomes an error that says so. */
function answer(
  port: MessagePort,
  reply: Reply,
  transfer: readonly object[] = [],
  what = '',
): void {
  try {
    port.postMessage(reply, transfer as never)
  } catch (cause) {
    const problem = new TypeError(
      `${what} cannot be sent to another thread; return plain data, without functions or handles`,
      { cause },
    )
    port.postMessage({ ok: false, error: toWire(problem) } satisfies Reply)
  }
}

type TaskFunction = (task: unknown, context: TaskContext) => unknown

/** A function of the module: a named export, or a member of what a CommonJS module exports. */
function functionNamed(functions: Readonly<Record<string, unknown>>, name: string): TaskFunction {
  const found = ownFunction(functions, name) ?? ownFunction(functions['default'], name)
  if (found !== undefined) return found
  const known = [functions, Object(functions['default']) as object].flatMap((holder) =>
    Object.keys(holder).filter((key) => ownFunction(holder, key) !== undefined),
  )
  const names = [...new Set(known)]
  const nearest = nearestName(name, names)
  const hint =
    nearest === undefined
      ? `its functions: ${names.join(', ') || 'none'}`
      : `did you mean "${nearest}"?`
  throw new TypeError(
    `thread pool "${home?.pool}": ${home?.module} exports no function "${name}" (${hint}); not called`,
  )
}

function ownFunction(holder: unknown, name: string): TaskFunction | undefined {
  if ((typeof holder !== 'object' && typeof holder !== 'function') || holder === null)
    return undefined
  if (!Object.hasOwn(holder, name)) return undefined
  const found = (holder as Record<string, unknown>)[name]
  return typeof found === 'function' ? (found as TaskFunction) : undefined
}

/** What piscina's `move()` marks: a value together with what moves instead of being copied. */
function movableOf(value: unknown): { value: unknown; transferable: object } | undefined {
  if (typeof value !== 'object' || value === null || !(kTransferable in value)) return undefined
  const { [kTransferable]: transferable, [kValue]: inner } = value as {
    [kTransferable]: object
    [kValue]?: unknown
  }
  return { value: inner, transferable }
}

const kTransferable: unique symbol = Symbol.for('Piscina.transferable') as never
const kValue: unique symbol = Symbol.for('Piscina.valueOf') as never
