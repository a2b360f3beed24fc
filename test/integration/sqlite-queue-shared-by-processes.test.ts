import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync } from '@photostructure/sqlite'
import type { DeferredQueue } from 'holdfast'
import { sqliteQueue } from 'holdfast/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Line, type QueueSite, queueSite } from '../support/sqlite-queue.ts'

let site: QueueSite
let queue: DeferredQueue
let database: InstanceType<typeof DatabaseSync>
beforeEach(async () => {
  site = await queueSite()
  database = new DatabaseSync(site.file)
  queue = sqliteQueue({ database })
})
afterEach(async () => {
  await queue.close()
  database.close()
  await site.remove()
})

describe('DQ7 one file and four processes', () => {
  it('run each job once, and none by two at a time', async () => {
    const jobs = 1_000
    const load = { workers: 5, work: 4, producers: 2, jobsEach: 125, drain: true }
    const children = await Promise.all(
      Array.from({ length: 4 }, (_, n) => site.start({ name: `p${n}`, ...load })),
    )
    expect(await Promise.all(children.map(({ ended }) => ended))).toEqual([0, 0, 0, 0])

    const history = await site.history()
    const runs = history.filter(({ what }) => what === 'begin')
    expect(overlaps(history)).toEqual([])
    expect(runs.length).toBe(jobs)
    expect(new Set(runs.map(({ id }) => id)).size).toBe(jobs)
    expect(history.filter(({ what }) => what === 'lost')).toEqual([])
    const shares = new Map<number, number>()
    for (const { pid } of runs) shares.set(pid, (shares.get(pid) ?? 0) + 1)
    console.log(`shares of the processes: ${[...shares.values()].join(', ')}`)
    expect(shares.size).toBe(4)
    expect(await queue.counts()).toMatchObject({ size: 0, completed: jobs })
  })

  it('take over from one that stands still for longer than its lease, and refuse its end', async () => {
    const frozen = await site.start({ name: 'frozen', workers: 3, leaseTime: 300, freezeAt: 10 })
    const receipts = await Promise.all(Array.from({ length: 40 }, (_, n) => queue.enqueue(n)))
    await until(async () => (await site.history()).some(({ what }) => what === 'freeze'))
    const others = await Promise.all(
      [1, 2, 3].map((n) => site.start({ name: `o${n}`, workers: 2, drain: true })),
    )
    await Promise.all(others.map(({ ended }) => ended))
    frozen.process.kill('SIGCONT')
    await until(async () => (await site.history()).some(({ what }) => what === 'lost'))

    const history = await site.history()
    const done = history.filter(({ what }) => what === 'done').map(({ id }) => id)
    expect(done.length).toBe(new Set(done).size)
    expect(new Set(done)).toEqual(new Set(receipts.map(({ id }) => id)))
    const lost = history.filter(({ what }) => what === 'lost')
    for (const { id, pid } of lost) {
      expect(history).not.toContainEqual(expect.objectContaining({ what: 'done', id, pid }))
    }
  })

  it('go on with the jobs of one that was killed, after its lease', async () => {
    const doomed = await site.start({ name: 'doomed', workers: 3, leaseTime: 1_500, work: 60_000 })
    await Promise.all(Array.from({ length: 3 }, (_, n) => queue.enqueue(n, { id: `job-${n}` })))
    await until(async () => (await begun()).length === 3)
    await doomed.kill()
    const heir = await site.start({ name: 'heir', workers: 3, drain: true, work: 1 })
    await heir.ended

    const attempts = (await begun()).map(({ attempt }) => attempt)
    expect(attempts.sort()).toEqual([1, 1, 1, 2, 2, 2])
  })
})

async function begun(): Promise<Line[]> {
  return (await site.history()).filter(({ what }) => what === 'begin')
}

/** Jobs that began while another run of them had not ended. */
function overlaps(history: readonly Line[]): string[] {
  const running = new Set<string>()
  const found: string[] = []
  for (const { what, id } of history) {
    if (what === 'begin' && running.has(id)) found.push(id)
    if (what === 'begin') running.add(id)
    if (what === 'end') running.delete(id)
  }
  return found
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await sleep(5)
}
