/**
 * Errors without a stack trace: ours are made where the engine refuses or stops waiting, so a trace would
 * show the engine, and collecting it costs ten times the error itself.
 */

/** Makes an error without a stack trace. */
export function stackless<E extends Error>(make: () => E): E {
  const limit = muteStacks()
  try {
    return make()
  } finally {
    restoreStacks(limit)
  }
}

const traced = Error as { stackTraceLimit?: number | undefined }

/** For a path that counts each ns: as `stackless`. What it returns is handed to `restoreStacks`. */
export function muteStacks(): number | undefined {
  const limit = traced.stackTraceLimit
  try {
    traced.stackTraceLimit = 0
  } catch {
    // Frozen: errors have their stacks then.
  }
  return limit
}

export function restoreStacks(limit: number | undefined): void {
  if (traced.stackTraceLimit !== limit) traced.stackTraceLimit = limit
}
