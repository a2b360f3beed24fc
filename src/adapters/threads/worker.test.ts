import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fromWire, type Reply } from './wire.ts'
import { perform, start } from './worker.ts'

/** The worker side, called as piscina calls it, in this thread. */
const module = `data:text/javascript,${encodeURIComponent(`
  export const listen = (ms, { signal }) => new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('told'))
    setTimeout(resolve, ms, 'not told')
  })
  export const look = (_task, context) => context.signal.aborted
  export const object = (task) => ({ task })
  export const fn = () => () => {}
  export const symbol = () => Symbol('s')
  export const moved = (size) => {
    const bytes = new Uint8Array(size)
    return { [Symbol.for('Piscina.transferable')]: bytes.buffer, [Symbol.for('Piscina.valueOf')]: bytes }
  }
  export default { render: () => 'rendered' }`)}`

let ours: MessagePort
let id = 0

function answer(reply: Reply | undefined): unknown {
  const sent = reply ?? (receiveMessageOnPort(ours) as { message: Reply }).message
  if (sent.ok) return sent.value
  throw fromWire(sent.error)
}

async function run(name: string, task?: unknown): Promise<unknown> {
  return answer(await perform({ id: ++id, name, task }))
}

/** Word that nobody wants a task any more arrives. */
async function stop(which: number): Promise<void> {
  ours.postMessage(which)
  await new Promise((resolve) => setImmediate(resolve))
}

describe('the worker side', () => {
  beforeEach(async () => {
    const { port1, port2 } = new MessageChannel()
    ours = port1
    answer(await start({ module, pool: 'work', port: port2 }).then(() => undefined))
  })
  afterEach(() => ours.close())

  it('tells a task that it is no longer wanted', async () => {
    const told = run('listen', 60_000)
    await stop(id)

    expect(await told).toBe('told')
  })

  it('does not take the word for an earlier task as one for this', async () => {
    const told = run('listen', 20)
    await stop(id - 1)

    expect(await told).toBe('not told')
    expect(await run('look')).toBe(false)
  })

  it('knows when the word came before the task', async () => {
    await stop(id + 1)

    expect(await run('look')).toBe(true)
    expect(await run('look')).toBe(false)
  })

  it('returns what can be sent for certain, and sends ahead what might not', async () => {
    expect(await perform({ id: ++id, name: 'render', task: 0 })).toEqual({
      ok: true,
      value: 'rendered',
    })
    expect(await perform({ id: ++id, name: 'object', task: 0 })).toBeUndefined()
    expect(answer(undefined)).toEqual({ task: 0 })
  })

  it.each(['fn', 'symbol'])(
    'turns a result that cannot be sent into an error: %s',
    async (name) => {
      await expect(run(name)).rejects.toThrow(
        `thread pool "work": the result of task "${name}" cannot`,
      )
    },
  )

  it('moves what the task wants moved', async () => {
    expect(await run('moved', 8)).toHaveLength(8)
  })

  it('names the functions that there are', async () => {
    await expect(run('nope')).rejects.toThrow(/exports no function "nope" \(its functions: /)
    await expect(run('rendr')).rejects.toThrow('did you mean "render"?')
  })

  it('answers with what the module fails with', async () => {
    const { port1, port2 } = new MessageChannel()
    await start({ module: 'data:text/javascript,throw 7', pool: 'work', port: port2 })
    const { message } = receiveMessageOnPort(port1) as { message: Reply }
    port1.close()

    expect(message).toEqual({ ok: false, error: { kind: 'plain', value: 7 } })
  })
})
