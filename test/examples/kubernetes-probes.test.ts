/** The probes of the manifests, asked of the programs that the containers run, with their settings. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { freePorts } from '../support/free-port.ts'
import { type Anything, containerOf, find, root, settingsOf } from '../support/kubernetes.ts'
import { clearAll, startServer } from '../support/shop.ts'

const running = new Set<ChildProcess>()
const folder = mkdtempSync(join(tmpdir(), 'settings-'))
afterEach(async () => {
  for (const child of running) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  running.clear()
  clearAll()
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('the probes', () => {
  it.each(['pages', 'orders', 'invoices'])('of %s are answered by its front end', async (name) => {
    const { url: DATABASE_URL } = await startServer()
    const catalogue = await start('catalogue')
    await opened(catalogue)
    const urls = { catalogue: catalogue.url }
    const front = await start(name, { urls, folder, DATABASE_URL })
    await opened(front)

    expect(await ask(front, 'readinessProbe')).toMatchObject({
      status: 200,
      body: { status: 'ready' },
    })
    for (const probe of ['startupProbe', 'livenessProbe']) {
      expect(await ask(front, probe)).toEqual(alive)
    }
    expect((await fetch(`${front.url}/elsewhere`)).status).toBe(404)
  })

  it.each(['payment', 'inventory', 'notification', 'catalogue', 'catalogue-replica'])(
    'of %s are answered by its stand-in',
    async (name) => {
      const service = await start(name)
      await opened(service)

      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        expect(await ask(service, probe)).toMatchObject({ status: 200 })
      }
    },
  )

  it('keep customers away until the catalogue is imported, and call for no restart', async () => {
    const { url: DATABASE_URL } = await startServer()
    const catalogue = await start('catalogue')
    await opened(catalogue)
    await tell(catalogue, { mode: 'hang' })

    const front = await start('pages', { urls: { catalogue: catalogue.url }, DATABASE_URL })
    await expect
      .poll(() => ask(front, 'livenessProbe').catch(() => undefined), { timeout: 30_000 })
      .toBeDefined()

    // A startup that waited for the catalogue would end in a restart, and each restart takes longer.
    for (const probe of ['startupProbe', 'livenessProbe']) {
      expect(await ask(front, probe)).toEqual(alive)
    }
    expect(await ask(front, 'readinessProbe')).toMatchObject({
      status: 503,
      body: { status: 'unready', checks: { open: 'said no', line: true } },
    })
  })

  it('tell of a circuit that is open, and keep the container', async () => {
    const { url: DATABASE_URL } = await startServer()
    const catalogue = await start('catalogue')
    await opened(catalogue)
    const urls = { catalogue: catalogue.url, 'catalogue-replica': catalogue.url }
    const front = await start('pages', { urls, DATABASE_URL })
    await opened(front)
    await tell(catalogue, { mode: 'down' })

    for (let id = 1; id <= 10; id++) await fetch(`${front.url}/products/${id}`)

    expect(await ask(front, 'readinessProbe')).toMatchObject({
      status: 200,
      body: {
        status: 'degraded',
        circuits: expect.arrayContaining([{ name: 'catalogue', state: 'open' }]),
      },
    })
    expect(await ask(front, 'livenessProbe')).toEqual(alive)
  })
})

it('a container that is told to go serves whom it has, takes nobody else, and goes', async () => {
  const { url: DATABASE_URL } = await startServer()
  const catalogue = await start('catalogue')
  await opened(catalogue)
  const front = await start('pages', { urls: { catalogue: catalogue.url }, DATABASE_URL })
  await opened(front)
  // Not longer than a page waits for it, and long enough to come in between.
  await tell(catalogue, { mode: 'slow', delay: 350 })

  // One page after the other, until one of them is seen under way.
  const pages: Promise<Response>[] = []
  let isBusy = false
  const visits = (async () => {
    while (!isBusy) {
      pages.push(fetch(`${front.url}/products/${pages.length + 1}`))
      await pages.at(-1)
    }
  })()
  await expect.poll(async () => (await statsOf(front)).workers.busy, { interval: 5 }).toBe(1)
  isBusy = true
  front.child.kill('SIGTERM')
  await visits

  for (const page of pages) expect((await page).status).toBe(200)
  expect(await once(front.child, 'exit')).toEqual([0, null])
  expect(await fetch(front.url).catch((error) => error.cause.code)).toBe('ECONNREFUSED')
})

const alive = { status: 200, body: { status: 'alive', checks: { orders: true } } }

interface Started {
  readonly name: string
  readonly child: ChildProcess
  readonly url: string
  readonly ports: Readonly<Record<string, number>>
}

interface Overrides {
  readonly DATABASE_URL?: string
  readonly urls?: Readonly<Record<string, string>>
  /** For the queues: here they are in files. */
  readonly folder?: string
}

/** Starts what the container runs, with its settings, but for ports and addresses. */
async function start(
  name: string,
  { DATABASE_URL = '', ...others }: Overrides = {},
): Promise<Started> {
  const deployment = find('Deployment', name)
  const [http = 0, control = 0] = await freePorts(2)
  const own = { ...settingsOf(deployment), host: '127.0.0.1', port: http, controlPort: control }
  const file = join(folder, `${name}.json`)
  writeFileSync(file, JSON.stringify({ ...own, ...others }))

  const [program] = containerOf(deployment).args
  const child = spawn(process.execPath, [fileURLToPath(new URL(program, root)), file], {
    env: { ...process.env, DATABASE_URL, REDIS_URL: '' },
    stdio: 'inherit',
  })
  running.add(child)
  return { name, child, url: `http://127.0.0.1:${http}`, ports: { http, control } }
}

/** As the kubelet would: asks the path of the probe at the port that it names. */
async function ask({ name, ports }: Started, probe: string): Promise<Anything> {
  const { path, port } = containerOf(find('Deployment', name))[probe].httpGet
  const response = await fetch(`http://127.0.0.1:${ports[port]}${path}`)
  return { status: response.status, body: await response.json() }
}

/** However long the machine needs for it: a cluster's is not the one that tests run on. */
async function opened(started: Started): Promise<void> {
  await expect
    .poll(() => ask(started, 'readinessProbe').catch((error) => error), { timeout: 60_000 })
    .toMatchObject({ status: 200 })
}

async function tell({ ports }: Started, fault: object): Promise<void> {
  const url = `http://127.0.0.1:${ports['control']}/admin/fault`
  expect((await fetch(url, { method: 'PUT', body: JSON.stringify(fault) })).status).toBe(200)
}

async function statsOf({ url }: Started): Promise<Anything> {
  return (await fetch(`${url}/stats`)).json()
}
