/** The first steps of a thread: it comes up and loads its module, within a limit, or it is ended. */
import type { Clock } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import { type Thread, ThreadGone } from './thread.ts'

/** Why no thread could be made ready, in words; `cause` is what the module failed with. */
export class StartFailure extends Error {}

export interface StartSettings {
  readonly module: string
  readonly startTimeout: number
  readonly clock: Clock
}

/** Resolves when the thread is ready. When it rejects, the thread has gone. */
export async function bringUp(thread: Thread, settings: StartSettings): Promise<void> {
  const { module, startTimeout, clock } = settings
  let tooLong = false
  const timer = clock.setTimer(() => {
    tooLong = true
    void thread.end()
  }, startTimeout)
  try {
    await thread.start()
    if (!thread.alive) throw new ThreadGone(await thread.gone)
  } catch (error) {
    await thread.end()
    if (tooLong) throw new StartFailure(`${module} did not load within ${startTimeout} ms`)
    throw failureOf(module, error)
  } finally {
    timer.cancel()
  }
}

function failureOf(module: string, error: unknown): StartFailure {
  if (!(error instanceof ThreadGone)) {
    return new StartFailure(`${module} did not load: ${describeError(error)}`, { cause: error })
  }
  const { fault, exitCode } = error.end
  if (fault === undefined) {
    return new StartFailure(`it ended with exit code ${exitCode} while it loaded ${module}`)
  }
  return new StartFailure(`it died while it loaded ${module}: ${describeError(fault)}`, {
    cause: fault,
  })
}
