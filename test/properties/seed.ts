/**
 * Checks properties over random histories: new ones in each run of the tests, in `.ci/run` always the same.
 * When one fails, the message says by which `SEED` the same histories come again:
 * `SEED=123 npx vitest run test/properties/queue-keeps-order.test.ts`
 */
import fc from 'fast-check'

// By default a history that may have 100 steps has 5: too few for two things to go wrong together.
fc.configureGlobal({ ...fc.readConfigureGlobal(), defaultSizeToMaxWhenMaxSpecified: true })

/** Seed of the histories: that of the environment, or a new one. */
export const seed: number = readSeed(process.env['SEED'])

/** Passes if the property holds for every history; otherwise throws, or rejects, with the smallest that fails. */
export function holds<Ts>(property: fc.IAsyncProperty<Ts>, histories?: number): Promise<void>
export function holds<Ts>(property: fc.IProperty<Ts>, histories?: number): void
export function holds<Ts>(property: fc.IRawProperty<Ts>, histories = 1_000): Promise<void> | void {
  const details = fc.check(property, { seed, numRuns: histories })
  return details instanceof Promise ? details.then(assertPassed) : assertPassed(details)
}

function assertPassed<Ts>(details: fc.RunDetails<Ts>): void {
  if (!details.failed) return
  const message = `SEED=${seed} replays this\n${fc.defaultReportMessage(details)}`
  throw new Error(message, { cause: details.errorInstance })
}

function readSeed(given: string | undefined): number {
  if (given === undefined) return Math.floor(Math.random() * 2 ** 31)
  if (!/^-?\d{1,10}$/.test(given)) throw new RangeError(`SEED must be an integer, but was ${given}`)
  return Number(given)
}
