/** Every statement of the queue in one place. States are written as numbers so that the partial indexes serve. */
import type { SqliteDatabase, SqliteStatement } from './handle.ts'

const SQL = {
  findQueue: 'SELECT id FROM holdfast_queues WHERE name = ?',
  makeQueue: 'INSERT INTO holdfast_queues (name) VALUES (?) ON CONFLICT (name) DO NOTHING',
  readSize: 'SELECT size FROM holdfast_queues WHERE id = ?',
  writeSize: 'UPDATE holdfast_queues SET size = ? WHERE id = ?',
  countSize: 'SELECT count(*) AS n FROM holdfast_jobs WHERE queue = ? AND state <> 4',

  insert: `INSERT INTO holdfast_jobs
      (queue, id, state, key, payload, context, enqueued_at, due_at, stamped_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (queue, id) DO NOTHING`,
  find: `SELECT * FROM holdfast_jobs WHERE queue = ? AND id = ?`,
  delete: 'DELETE FROM holdfast_jobs WHERE seq = ?',
  isKeyTaken:
    'SELECT 1 FROM holdfast_jobs WHERE queue = ? AND key = ? AND state < 3 AND key IS NOT NULL LIMIT 1',
  promote: `UPDATE holdfast_jobs SET state = 0 WHERE seq = (
    SELECT seq FROM holdfast_jobs WHERE queue = ? AND key = ? AND key IS NOT NULL AND state < 3
    ORDER BY seq LIMIT 1) AND state = 2`,

  take: `UPDATE holdfast_jobs
    SET state = 1, attempts = attempts + 1, lease = ? || seq, lease_until = ?, lease_time = ?
    WHERE seq IN (SELECT seq FROM holdfast_jobs
      WHERE queue = ? AND state = 0 AND due_at <= ? ORDER BY due_at, seq LIMIT ?)
    RETURNING *`,
  runOut: `SELECT seq, attempts, errors FROM holdfast_jobs
    WHERE queue = ? AND state = 1 AND lease_until <= ? ORDER BY lease_until LIMIT ?`,
  // It was due when it was taken, whatever the clock says now.
  release: `UPDATE holdfast_jobs
    SET state = 0, lease = NULL, due_at = min(due_at, ?), errors = ? WHERE seq = ?`,
  nextDue: 'SELECT min(due_at) AS at FROM holdfast_jobs WHERE queue = ? AND state = 0',
  nextRunOut: 'SELECT min(lease_until) AS at FROM holdfast_jobs WHERE queue = ? AND state = 1',
  renew: 'UPDATE holdfast_jobs SET lease_until = ?, lease_time = ? WHERE seq = ? AND lease = ?',

  leased: 'SELECT key, errors FROM holdfast_jobs WHERE seq = ? AND lease = ?',
  complete: `UPDATE holdfast_jobs
    SET state = 4, payload = NULL, context = NULL, errors = NULL, lease = NULL, ended_at = ?
    WHERE seq = ?`,
  again: `UPDATE holdfast_jobs
    SET state = 0, lease = NULL, due_at = ?, stamped_at = ?, attempts = attempts - ?, errors = ?
    WHERE seq = ?`,
  bury: `UPDATE holdfast_jobs
    SET state = 3, lease = NULL, ended_at = ?, reason = ?, attempts = attempts - ?, errors = ?
    WHERE seq = ?`,
  unbury: `UPDATE holdfast_jobs
    SET seq = (SELECT max(seq) + 1 FROM holdfast_jobs), state = ?, due_at = ?, stamped_at = ?,
      attempts = 0, ended_at = NULL, reason = NULL
    WHERE seq = ?`,
  forget: `DELETE FROM holdfast_jobs WHERE seq IN (SELECT seq FROM holdfast_jobs
    WHERE queue = ? AND state = 4 AND ended_at <= ? ORDER BY ended_at LIMIT ?)`,

  countReady: 'SELECT count(*) AS n FROM holdfast_jobs WHERE queue = ? AND state = 0',
  countDue: 'SELECT count(*) AS n FROM holdfast_jobs WHERE queue = ? AND state = 0 AND due_at <= ?',
  countActive: 'SELECT count(*) AS n FROM holdfast_jobs WHERE queue = ? AND state = 1',
  countBlocked: 'SELECT count(*) AS n FROM holdfast_jobs WHERE queue = ? AND state = 2',
  countDead: 'SELECT count(*) AS n FROM holdfast_jobs WHERE queue = ? AND state = 3',
  countCompleted:
    'SELECT count(*) AS n FROM holdfast_jobs WHERE queue = ? AND state = 4 AND ended_at > ?',
  list: `SELECT * FROM holdfast_jobs
    WHERE queue = ? AND seq > ? AND (state <> 4 OR ended_at > ?) ORDER BY seq LIMIT ?`,
  listState: `SELECT * FROM holdfast_jobs
    WHERE queue = ? AND seq > ? AND state = ? AND (state <> 4 OR ended_at > ?) ORDER BY seq LIMIT ?`,
  listDue: `SELECT * FROM holdfast_jobs
    WHERE queue = ? AND seq > ? AND state = 0 AND due_at <= ? ORDER BY seq LIMIT ?`,
  listDelayed: `SELECT * FROM holdfast_jobs
    WHERE queue = ? AND seq > ? AND state = 0 AND due_at > ? ORDER BY seq LIMIT ?`,

  longestLease: 'SELECT max(lease_time) AS at FROM holdfast_jobs WHERE queue = ? AND state = 1',
  mendStates: `UPDATE holdfast_jobs SET state = 3, lease = NULL, reason = 'unreadable'
    WHERE queue = ? AND state NOT IN (0, 1, 2, 3, 4)`,
  // Those before them were set aside here, or deleted by hand.
  mendLanes: `UPDATE holdfast_jobs SET state = 0
    WHERE queue = ? AND state = 2 AND NOT EXISTS (SELECT 1 FROM holdfast_jobs AS before
      WHERE before.queue = holdfast_jobs.queue AND before.key = holdfast_jobs.key
        AND before.key IS NOT NULL AND before.state < 3 AND before.seq < holdfast_jobs.seq)`,
  mendDue: `UPDATE holdfast_jobs SET due_at = due_at - (stamped_at - ?), stamped_at = ?
    WHERE queue = ? AND state IN (0, 2) AND stamped_at > ?`,
  mendLeases: `UPDATE holdfast_jobs SET lease_until = ? + lease_time
    WHERE queue = ? AND state = 1 AND lease_until > ? + lease_time`,
} as const

export type Statements = { readonly [K in keyof typeof SQL]: SqliteStatement }

export function prepareStatements(database: SqliteDatabase): Statements {
  const entries = Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)] as const)
  return Object.fromEntries(entries) as Statements
}
