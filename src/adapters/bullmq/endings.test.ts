import { describe, expect, it } from 'vitest'
import type { Settlement } from '../../resources/deferred-queue/store.ts'
import { endAttempt, type InHand } from './endings.ts'
import { ledgerField, seal } from './record.ts'
import type { BullBackend, BullJob } from './shapes.ts'

const order = { payload: '1', key: undefined, context: {}, enqueuedAt: 0, dueAt: 0 }
const envelope = seal({ ...order, id: 'order-7', isDueAtFixed: false }, 'nonce')
const data = JSON.stringify(envelope)
const completed: Settlement = { kind: 'completed', at: 5 }
const again: Settlement = { kind: 'again', dueAt: 9, counts: true, error: undefined }
const cut = new Error('the connection was cut')
const lost = Object.assign(new Error('missing lock'), { code: -2 })

/** A job in hand whose end meets these errors, one after the other, while this lies in the store. */
function held(errors: unknown[], found: BullJob | undefined): InHand {
  const move = async (): Promise<void> => {
    const error = errors.shift()
    if (error !== undefined) throw error
  }
  const backend = { moveToCompleted: move, moveToDelayed: move, getJobData: async () => found }
  const job = { bullId: 'j.order-7', token: 'mine', job: { data }, envelope }
  return {
    ...job,
    backend: backend as Partial<BullBackend> as never,
    heldUntil: 0,
    isUncertain: false,
  }
}

const ledgerBy = (by: string): BullJob => ({
  data,
  stacktrace: ledgerField({ nonce: 'nonce', by, errors: [] }),
})

describe('the end of an attempt', () => {
  it('is refused when the lease was lost, whatever lies in the store', async () => {
    const mine = { data, returnvalue: '"mine"' }

    expect(await endAttempt(held([lost], mine), completed, true)).toBe(false)
  })

  it('is passed on when it is not known whether it was stored', async () => {
    await expect(endAttempt(held([cut], undefined), completed, true)).rejects.toBe(cut)
  })

  it.each([
    ['completed by us', completed, { data, returnvalue: '"mine"' }, true],
    ['completed by somebody else', completed, { data, returnvalue: '"other"' }, false],
    ['completed and not kept', completed, undefined, true],
    ['to run again, said by us', again, ledgerBy('mine'), true],
    ['to run again, said by somebody else', again, ledgerBy('other'), false],
    ['gone before it could run again', again, undefined, false],
    [
      'stored anew under its id',
      completed,
      { data: JSON.stringify({ ...envelope, nonce: 'new' }), returnvalue: '"mine"' },
      false,
    ],
  ])(
    'is recognised when its answer was lost: a job that was %s',
    async (_what, end, found, isOurs) => {
      const job = held([cut, lost], found)
      await endAttempt(job, end, true).catch(() => {})

      expect(await endAttempt(job, end, true)).toBe(isOurs)
    },
  )
})
