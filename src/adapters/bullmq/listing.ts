/** Pages of jobs, state by state, each from its oldest. */
import type { JobState, ListOptions } from '../../core/deferred-queue.ts'
import type { StoredJob } from '../../resources/deferred-queue/store.ts'
import type { Lanes } from './lanes.ts'
import type { Link } from './link.ts'
import { storedJob, unseal } from './record.ts'

/** What BullMQ's states are called here. */
export const STATES: ReadonlyMap<string, JobState> = new Map([
  ['waiting', 'waiting'],
  ['wait', 'waiting'],
  ['paused', 'waiting'],
  ['prioritized', 'waiting'],
  ['delayed', 'delayed'],
  ['active', 'active'],
  ['failed', 'dead'],
  ['completed', 'completed'],
])

/** Where in BullMQ the jobs of a state are. */
const PLACES: Readonly<Record<JobState, readonly string[]>> = {
  active: ['active'],
  waiting: ['waiting'],
  delayed: ['waiting', 'delayed'],
  blocked: ['waiting', 'delayed'],
  dead: ['failed'],
  completed: ['completed'],
}

const ALL_PLACES = ['active', 'waiting', 'delayed', 'failed', 'completed']

export interface Listed {
  readonly jobs: readonly StoredJob[]
  readonly next: string | undefined
}

export async function listJobs(
  link: Link,
  lanes: Lanes,
  { state, limit, after }: Required<Pick<ListOptions, 'limit'>> & ListOptions,
): Promise<Listed> {
  const places = state === undefined ? ALL_PLACES : PLACES[state]
  let { place, offset } = placeOf(after)
  const jobs: StoredJob[] = []
  for (; place < places.length; place++, offset = 0) {
    for (;;) {
      const wanted = (limit as number) - jobs.length
      if (wanted === 0) return { jobs, next: `${place}.${offset}` }
      const type = places[place] as string
      const ids = await link.queue.getRanges([type], offset, offset + wanted - 1, true)
      offset += ids.length
      const found = await Promise.all(ids.map((id) => readJob(link, lanes, id, type)))
      jobs.push(...found.filter((job) => job !== undefined && isIn(job, state)).map(present))
      if (ids.length < wanted) break
    }
  }
  return { jobs, next: undefined }
}

async function readJob(
  link: Link,
  lanes: Lanes,
  id: string,
  type: string,
): Promise<StoredJob | undefined> {
  const job = await link.backend.getJobData(id)
  if (job === undefined) return undefined
  return lanes.withBlocked(storedJob(job, id, STATES.get(type) as JobState), unseal(job))
}

function isIn(job: StoredJob, state: JobState | undefined): boolean {
  return state === undefined || job.state === state
}

function present(job: StoredJob | undefined): StoredJob {
  return job as StoredJob
}

function placeOf(after: string | undefined): { place: number; offset: number } {
  const [place = 0, offset = 0] = (after ?? '').split('.').map(Number)
  return Number.isSafeInteger(place) && Number.isSafeInteger(offset)
    ? { place, offset }
    : { place: 0, offset: 0 }
}
