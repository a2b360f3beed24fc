import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bundle, bundle, runScript } from '../support/child.ts'

let library: Bundle
beforeAll(async () => {
  library = await bundle()
})
afterAll(() => library.remove())

describe('a pool', () => {
  it('lets the process end with resources idle, all its timers set, and never closed', async () => {
    const script = `
      const pool = holdfast.createPool({
        create: () => ({}),
        validate: () => true,
        keepaliveInterval: 60_000,
        leakTimeout: 60_000,
        minSize: 2,
      })
      await pool.warmUp()
      tell(await pool.use(() => 'used'))`

    const { code, stdout } = await runScript(library, script)

    expect({ code, stdout }).toEqual({ code: 0, stdout: 'used' })
  })

  it('keeps the process alive while somebody waits for a resource', async () => {
    const script = `
      const pool = holdfast.createPool({ create: () => ({}), maxSize: 1, acquireTimeout: 60 })
      await pool.acquire()
      await pool.use(() => 'never').catch(tell)
      const dead = holdfast.createPool({ create: hang, acquireTimeout: 60 })
      await dead.use(() => 'never').catch(tell)`

    const { code, stdout } = await runScript(library, script)

    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'ERR_ACQUIRE_TIMEOUT\nERR_ACQUIRE_TIMEOUT',
    })
  })
})
