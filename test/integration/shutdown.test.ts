/** A real process gets a real signal. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { circuitBreaker, pipeline } from 'holdfast'
import { gracefulShutdown, healthChecks } from 'holdfast/server'
import { afterEach, describe, expect, it } from 'vitest'
import { rejection } from '../support/calls.ts'

const program = fileURLToPath(new URL('../support/shutdown-child.mjs', import.meta.url))
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
})

interface Message {
  readonly port?: number
  readonly began?: boolean
  readonly closed?: boolean
  readonly graceful?: boolean
}

async function start(timeout: number, work: number) {
  const child = fork(program, [String(timeout), String(work)], { stdio: 'inherit' })
  children.push(child)
  const heard: Message[] = []
  child.on('message', (message: Message) => heard.push(message))
  const told = async (key: keyof Message) => {
    for (;;) {
      const found = heard.find((message) => message[key] !== undefined)
      if (found !== undefined) return found
      await once(child, 'message')
    }
  }
  const { port } = await told('port')
  return { child, heard, told, url: `http://127.0.0.1:${port}` }
}

describe('a server that is told to end', () => {
  it('says that it is not ready, serves those who do not know yet, finishes all and exits', async () => {
    const { child, heard, told, url } = await start(10_000, 1_000)
    const exit = once(child, 'exit')
    const slow = fetch(`${url}/slow`)
    await told('began')

    child.kill('SIGTERM')
    let ready = await fetch(`${url}/readyz`)
    while (ready.status === 200) ready = await fetch(`${url}/readyz`)
    const late = fetch(`${url}/late`)

    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect(ready.status).toBe(503)
    expect((await late).headers.get('connection')).toBe('close')
    expect(await (await late).text()).toBe('done')
    expect(await (await slow).text()).toBe('done')
    expect((await exit)[0]).toBe(0)
    expect(heard).toContainEqual({ closed: true })
    expect(heard).toContainEqual({ graceful: true })
  }, 30_000)

  it('cuts what does not end in time, and still closes the rest', async () => {
    const { child, heard, told, url } = await start(200, 60_000)
    const exit = once(child, 'exit')
    const slow = rejection(fetch(`${url}/slow`))
    await told('began')

    child.kill('SIGTERM')

    expect(await slow).toBeInstanceOf(TypeError)
    await told('graceful')
    expect(heard).toContainEqual({ closed: true })
    expect(heard).toContainEqual({ graceful: false })
    child.kill('SIGKILL')
    await exit
  }, 30_000)

  it('ends at once at a second signal', async () => {
    const { child, told, url } = await start(60_000, 60_000)
    const exit = once(child, 'exit')
    const slow = rejection(fetch(`${url}/slow`))
    await told('began')

    child.kill('SIGTERM')
    let ready = await fetch(`${url}/readyz`)
    while (ready.status === 200) ready = await fetch(`${url}/readyz`)
    child.kill('SIGTERM')

    expect((await exit)[1]).toBe('SIGTERM')
    await slow
  }, 30_000)

  it('needs a server', () => {
    expect(() => gracefulShutdown({} as never)).toThrow(TypeError)
    expect(() => gracefulShutdown(undefined as never)).toThrow(/server of node:http/)
  })
})

describe('health', () => {
  const dead = circuitBreaker({ name: 'dead' })
  dead.isolate()

  it.each([
    [{}, 'ready'],
    [{ policies: [circuitBreaker()] }, 'ready'],
    [{ policies: [pipeline('a', dead)] }, 'degraded'],
    [{ critical: [pipeline('a', dead)] }, 'unready'],
    [{ checks: { fine: () => undefined } }, 'ready'],
    [{ checks: { no: () => false } }, 'unready'],
    [{ checks: { no: () => Promise.reject(new Error('full')) } }, 'unready'],
    [{ checks: { no: () => new Promise(() => {}) }, timeout: 5 }, 'unready'],
    [{ closing: () => true }, 'unready'],
  ])('of %o is %s', async (options, status) => {
    expect((await healthChecks(options).ready()).status).toBe(status)
  })

  it('tells which circuit and which check it is', async () => {
    const health = healthChecks({
      policies: [pipeline('a', dead, circuitBreaker({ name: 'fine' }))],
      checks: {
        disk: () => {
          throw new Error('disk full')
        },
      },
    })

    expect(await health.ready()).toEqual({
      status: 'unready',
      circuits: [
        { name: 'dead', state: 'isolated' },
        { name: 'fine', state: 'closed' },
      ],
      checks: { disk: 'Error: disk full' },
    })
  })

  it.each([{ policies: 'all' }, { checks: { a: 1 } }, { timeout: 0 }, { polices: [] }])(
    'cannot be asked with %o',
    (options) => {
      expect(() => healthChecks(options as never)).toThrow(/healthChecks/)
    },
  )
})
