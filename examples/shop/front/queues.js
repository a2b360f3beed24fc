/**
 * The queues of the protected front end: what it has accepted and does later. In SQLite files, for
 * one machine; with REDIS_URL on BullMQ, for as many as there are.
 */

import { join } from 'node:path'
import { memoryQueue } from 'holdfast'

/**
 * @typedef {import('./shop.js').Order} Order
 *
 * @typedef {object} Queues
 * @property {import('holdfast').DeferredQueue<Order>} charges - Orders to be charged.
 * @property {import('holdfast').DeferredQueue<Order>} mails - Orders to be confirmed by mail.
 * @property {() => Promise<void>} discard - Closes both at once, and forgets what they hold.
 */

/**
 * @param {object} options
 * @param {string | undefined} options.folder - For the files.
 * @param {string} options.prefix - Of the keys in Redis.
 * @returns {Promise<Queues>}
 */
export async function openQueues({ folder, prefix }) {
  const url = process.env['REDIS_URL']
  if (url) return onRedis(url, prefix)
  if (folder) return inFiles(folder)
  throw new Error('Where are accepted orders to be kept? Give REDIS_URL, or a folder.')
}

/** For a front end that takes no orders. @returns {Queues} */
export function noQueues() {
  return {
    charges: memoryQueue({ name: 'charges' }),
    mails: memoryQueue({ name: 'mails' }),
    discard: async () => {},
  }
}

/** @param {string} folder @returns {Promise<Queues>} */
async function inFiles(folder) {
  const { sqliteQueue } = await import('holdfast/sqlite')
  // Built in from Node 22.13 on; before, a package brings the same class along.
  const builtIn = /** @type {typeof import('@photostructure/sqlite') | undefined} */ (
    process.getBuiltinModule('node:sqlite')
  )
  const { DatabaseSync } = builtIn ?? (await import('@photostructure/sqlite'))

  /**
   * @param {string} name
   * @param {'full' | 'normal'} durability
   * @returns {import('holdfast').DeferredQueue<Order>}
   */
  const open = (name, durability) =>
    sqliteQueue({ name, durability, database: new DatabaseSync(join(folder, `${name}.db`)) })
  return {
    // Money: an accepted order survives a power failure, for some milliseconds of the disk's time.
    charges: open('charges', 'full'),
    // A mail survives the end of the process.
    mails: open('mails', 'normal'),
    // The folder goes as a whole.
    discard: async () => {},
  }
}

/** @param {string} url @param {string} prefix @returns {Promise<Queues>} */
async function onRedis(url, prefix) {
  const [bullmq, { Redis }, { bullmqQueue }] = await Promise.all([
    import('bullmq'),
    import('ioredis'),
    import('holdfast/bullmq'),
  ])
  const connection = new Redis(url, { maxRetriesPerRequest: null })
  /** @param {string} name @returns {import('holdfast').DeferredQueue<Order>} */
  const open = (name) => bullmqQueue({ name, bullmq, connection, prefix })
  const [charges, mails] = [open('charges'), open('mails')]
  return {
    charges,
    mails,
    async discard() {
      await Promise.all([charges.close({ timeout: 0 }), mails.close({ timeout: 0 })])
      for await (const keys of connection.scanStream({ match: `${prefix}:*`, count: 1_000 })) {
        if (keys.length > 0) await connection.unlink(keys)
      }
      connection.disconnect()
    },
  }
}
