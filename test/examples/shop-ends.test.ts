/** However the shop ends, nothing is left behind: no process, no port, no folder, no schema. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  clearAll,
  gone,
  isAnyoneIn,
  numbersIn,
  openPorts,
  start,
  startServer,
} from '../support/shop.ts'

/** Two for each of the five services, one for each shop, one for the database. */
const portsOfAll = 13

afterEach(clearAll)

describe('however it ends', () => {
  it.each([
    { how: 'Ctrl-C in a terminal', signal: 'SIGINT', group: true },
    { how: 'SIGINT to the parent alone', signal: 'SIGINT', group: false },
    { how: 'SIGTERM', signal: 'SIGTERM', group: false },
  ] as const)('leaves no process, port or folder behind: $how', async ({ signal, group }) => {
    const show = start(['--fast'])
    const output = await show.until(group ? '[0.0 s]' : 'shop-protected')
    const ports = numbersIn(output, /127\.0\.0\.1:(\d+)/g)

    process.kill(group ? -show.pid : show.pid, signal)
    const ended = await show.ended

    // It dies of the signal, as the shell expects of it, once everybody else has left.
    expect(ended).toMatchObject({ code: null, signal, stderr: '' })
    expect(isAnyoneIn(show.pid)).toBe(false)
    expect(ports).toHaveLength(portsOfAll)
    expect(await openPorts(ports)).toEqual([])
    expect(show.files()).toEqual([])
  })

  it('leaves nothing behind when it is killed and can do nothing about it', async () => {
    const show = start(['--fast'])
    const ports = numbersIn(await show.until('shop-protected'), /127\.0\.0\.1:(\d+)/g)

    process.kill(show.pid, 'SIGKILL')
    await show.ended

    // Each of the others has a port of its own, and notices by itself that it is alone.
    expect(ports).toHaveLength(portsOfAll)
    await vi.waitFor(async () => expect(await openPorts(ports)).toEqual([]), 20_000)
    await vi.waitFor(() => expect(show.files()).toEqual([]), 20_000)
  })

  // The database takes its first second to be made: its folder, its files, its server.
  it.each([100, 200, 300, 400, 500, 600, 700, 900, 1_200])(
    'leaves nothing behind when interrupted after %i ms',
    async (ms) => {
      const show = start(['--fast'])

      await sleep(ms)
      process.kill(-show.pid, 'SIGINT')
      const { stderr } = await show.ended

      await gone(show.pid)
      expect(stderr).toBe('')
      expect(show.files()).toEqual([])
    },
  )

  it.each(['inventory', 'database', 'shop-protected'])(
    'says that %s crashed, and takes all along',
    async (name) => {
      const show = start(['--fast'])
      const output = await show.until('shop-protected')
      const ports = numbersIn(output, /127\.0\.0\.1:(\d+)/g)
      const [pid = 0] = numbersIn(output, new RegExp(`^${name} +pid (\\d+)`, 'gm'))

      process.kill(pid, 'SIGKILL')
      const { code, stderr } = await show.ended

      expect(code).toBe(1)
      expect(stderr).toContain(`${name} ended (SIGKILL)`)
      expect(isAnyoneIn(show.pid)).toBe(false)
      expect(show.files()).toEqual([])
      await vi.waitFor(async () => expect(await openPorts(ports)).toEqual([]), 20_000)
    },
  )

  it('leaves quietly when nobody reads it any more', async () => {
    const show = start(['--fast'])
    await show.until('shop-protected')

    show.hangUp()
    const { stderr } = await show.ended

    expect(stderr).toBe('')
    expect(isAnyoneIn(show.pid)).toBe(false)
  })
})

describe('with DATABASE_URL', () => {
  it.each([
    ['leads nowhere', 'postgres://shop:kelp@127.0.0.1:1/shop', 'ECONNREFUSED'],
    ['is none', 'postgres://shop:kelp@two words:x/shop', 'Invalid URL'],
  ])('that %s it says so, in a line and without the password', async (_how, url, fault) => {
    const show = start(['--fast'], { DATABASE_URL: url })
    const { code, stderr } = await show.ended

    expect(code).toBe(1)
    expect(stderr.trim().split('\n')).toEqual([
      'The show had to stop: database ended (exit code 1)',
      expect.stringMatching(`^DATABASE_URL: .*${fault}`),
    ])
    expect(stderr).not.toContain('kelp')
    await gone(show.pid)
  })

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'uses that server, in schemas of its own that are dropped: %s',
    async (signal) => {
      const { url, port } = await startServer()
      const show = start(['--fast'], { DATABASE_URL: url })
      const output = await show.until('shop-protected')
      const during = await schemasAt(url)

      process.kill(show.pid, signal)
      await show.ended

      expect(output).toContain('DATABASE_URL')
      expect(output).not.toContain(url)
      expect(during).toEqual([
        expect.stringMatching(/^holdfast_bare_\w+$/),
        expect.stringMatching(/^holdfast_protected_\w+$/),
      ])
      await vi.waitFor(async () => expect(await schemasAt(url)).toEqual([]), 20_000)
      expect(await openPorts([port])).toEqual([port])
    },
  )
})

async function schemasAt(url: string): Promise<string[]> {
  const client = new Client(url)
  await client.connect()
  const { rows } = await client.query(
    "select nspname as name from pg_namespace where nspname like 'holdfast%' order by 1",
  )
  await client.end()
  return rows.map(({ name }: { name: string }) => name)
}
