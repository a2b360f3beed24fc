import { type DeferredQueue, memoryQueue, type Pipeline, type Receipt } from 'holdfast'
import { type SqliteDatabase, sqliteQueue } from 'holdfast/sqlite'
import { expectTypeOf, test } from 'vitest'

declare const database: SqliteDatabase
declare const pipe: Pipeline

test('a queue takes and hands over one kind of payload', () => {
  const queue = sqliteQueue<{ order: string }>({ database })

  expectTypeOf(queue.enqueue({ order: 'o-7' })).resolves.toEqualTypeOf<Receipt>()
  queue.process((job) => expectTypeOf(job.payload).toEqualTypeOf<{ order: string }>())
  // @ts-expect-error a payload of another kind
  queue.enqueue({ order: 7 })
  // @ts-expect-error there is no such option
  queue.process(() => {}, { concurrency: 3 })
})

test('engines are the same port', () => {
  expectTypeOf(sqliteQueue<number>({ database })).toExtend<DeferredQueue<number>>()
  expectTypeOf(memoryQueue<number>()).toExtend<DeferredQueue<number>>()
})

test('a job can be passed on to a pipeline', () => {
  sqliteQueue<number>({ database }).process((job) => pipe.execute(() => job.payload, job))
})

test('handles of the drivers fit', () => {
  type Sqlite = InstanceType<typeof import('@photostructure/sqlite').DatabaseSync>
  expectTypeOf<Sqlite>().toExtend<SqliteDatabase>()
})
