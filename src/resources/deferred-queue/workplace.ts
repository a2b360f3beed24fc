/** What a worker has to work with. */
import type { QueueSettings } from './options.ts'
import type { JobStore } from './store.ts'
import type { Voice } from './voice.ts'

export interface Workplace {
  readonly store: JobStore
  readonly voice: Voice
  readonly queue: QueueSettings
  /** Whether the queue as a whole is paused. */
  isPaused(): boolean
}
