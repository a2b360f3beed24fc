/** The Redis that other tests rely on does to its clients what they say that it does. */
import { existsSync } from 'node:fs'
import { createClient } from 'redis'
import { afterEach, describe, expect, it } from 'vitest'
import { watch } from '../support/calls.ts'
import { hasRedis, type RedisServer, startRedis } from '../support/redis-server.ts'

describe.skipIf(!hasRedis())('a Redis of the test’s own', () => {
  const servers: RedisServer[] = []
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop()
  })

  async function start(...settings: string[]): Promise<RedisServer> {
    const server = await startRedis(settings)
    servers.push(server)
    return server
  }

  async function ask(server: RedisServer, ...command: string[]): Promise<unknown> {
    const client = createClient({ url: server.url, socket: { reconnectStrategy: false } })
    client.on('error', () => {})
    await client.connect()
    const answer = await client.sendCommand(command)
    client.destroy()
    return answer
  }

  it('keeps what it acknowledged through a SIGKILL, on the same port', async () => {
    const server = await start()
    const { port, pid } = server
    await ask(server, 'SET', 'order', 'accepted')

    await server.kill()
    await expect(ask(server, 'GET', 'order')).rejects.toThrow()
    await server.restart()

    expect(await ask(server, 'GET', 'order')).toBe('accepted')
    expect(server.port).toBe(port)
    expect(server.pid).not.toBe(pid)
  })

  it('answers nothing while it is paused, and everything afterwards', async () => {
    const server = await start()
    const client = createClient({ url: server.url })
    await client.connect()

    server.pause()
    const answer = client.get('order')
    const seen = watch(answer)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(seen.status).toBe('pending')
    server.resume()

    expect(await answer).toBeNull()
    client.destroy()
  })

  it('is configured as the test wants it, several beside each other', async () => {
    const [small, large] = await Promise.all([start('--maxmemory', '3mb'), start()])

    expect(await ask(small, 'CONFIG', 'GET', 'maxmemory')).toMatchObject({ maxmemory: '3145728' })
    expect(await ask(large, 'CONFIG', 'GET', 'maxmemory')).toMatchObject({ maxmemory: '0' })
    expect(small.port).not.toBe(large.port)
  })

  it('leaves neither process nor data behind, even when it was paused', async () => {
    const server = await start()
    const { dir: folder = '' } = (await ask(server, 'CONFIG', 'GET', 'dir')) as { dir?: string }
    const pid = server.pid as number
    expect(existsSync(folder)).toBe(true)

    server.pause()
    await server.stop()
    await server.stop()

    expect(existsSync(folder)).toBe(false)
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    expect(server.pid).toBeUndefined()
  })
})
