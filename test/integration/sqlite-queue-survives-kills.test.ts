/**
 * A process that enqueues and works under load is killed at seeded moments, again and again, on one file.
 * `KILL_ROUNDS=200` makes it a long test, `SEED` plays one again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync } from '@photostructure/sqlite'
import { sqliteQueue } from 'holdfast/sqlite'
import { seededRandom } from 'holdfast/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { seed } from '../properties/seed.ts'
import { type Line, type QueueChild, type QueueSite, queueSite } from '../support/sqlite-queue.ts'

const rounds = Number(process.env['KILL_ROUNDS'] ?? 20)

let site: QueueSite
beforeEach(async () => {
  site = await queueSite()
})
afterEach(() => site.remove())

describe('a queue in a SQLite file', () => {
  it(
    `loses nothing that it acknowledged, and repeats nothing that it completed, in ${rounds} kills`,
    async () => {
      console.log(`SEED=${seed}`)
      const random = seededRandom(seed)
      for (let round = 0; round < rounds; round++) {
        const load = { producers: 20, jobsEach: 1_000_000, workers: 10, leaseTime: 150 }
        const child = await site.start({ name: `r${round}`, ...load })
        // Every other one only when it has stored something, however slow the machine is.
        if (round % 2 === 1) await acknowledges(20, child)
        await sleep(10 + 190 * random())
        await child.kill()
      }
      const last = await site.start({
        name: 'last',
        workers: 50,
        leaseTime: 150,
        drain: true,
        work: 1,
      })
      expect(await last.ended).toBe(0)

      const history = await site.history()
      const acknowledged = history.filter(({ what }) => what === 'ack').map(({ id }) => id)
      console.log(`${acknowledged.length} jobs acknowledged, ${history.length} lines of history`)
      expect(acknowledged.length).toBeGreaterThanOrEqual(20 * Math.floor(rounds / 2))
      expect(await notCompleted(acknowledged)).toEqual([])
      expect(neverRun(history, acknowledged)).toEqual([])
      expect(runAfterDone(history)).toEqual([])
      expect(attemptsThatRepeat(history)).toEqual([])
    },
    rounds * 5_000 + 60_000,
  )
})

async function acknowledges(count: number, { process: { pid } }: QueueChild): Promise<void> {
  const acks = async (): Promise<number> =>
    (await site.history()).filter((line) => line.what === 'ack' && line.pid === pid).length
  while ((await acks()) < count) await sleep(5)
}

/** What the file says, read afresh. */
async function notCompleted(ids: readonly string[]): Promise<string[]> {
  const database = new DatabaseSync(site.file)
  const queue = sqliteQueue({ database })
  const found: string[] = []
  for (const id of ids) {
    const job = await queue.get(id)
    if (job?.state !== 'completed') found.push(`${id} is ${job?.state ?? 'gone'}`)
  }
  await queue.close()
  database.close()
  return found
}

function neverRun(history: readonly Line[], ids: readonly string[]): string[] {
  const run = new Set(history.filter(({ what }) => what === 'end').map(({ id }) => id))
  return ids.filter((id) => !run.has(id))
}

function runAfterDone(history: readonly Line[]): string[] {
  const done = new Set<string>()
  const found: string[] = []
  for (const { what, id } of history) {
    if (what === 'done') done.add(id)
    if (what === 'begin' && done.has(id)) found.push(id)
  }
  return found
}

/** The count is stored before the run: no two runs of a job have the same number. */
function attemptsThatRepeat(history: readonly Line[]): string[] {
  const last = new Map<string, number>()
  const found: string[] = []
  for (const { what, id, attempt } of history) {
    if (what !== 'begin') continue
    if (attempt <= (last.get(id) ?? 0)) found.push(`${id} #${attempt}`)
    last.set(id, attempt)
  }
  return found
}
