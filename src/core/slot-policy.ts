/**
 * What every policy that hands out slots has in common: a bounded line for whoever finds none free, and
 * slots that follow the work, not the caller's patience. How many slots there are, others decide.
 */
import { Alarm } from './alarm.ts'
import { BulkheadFullError } from './errors.ts'
import type { Outcome } from './outcome.ts'
import type { Stats } from './policy.ts'
import { type PriorityOption, priorityOf } from './priority.ts'
import { type Pulse, pulseOf, type TurnListener } from './pulse.ts'
import { type Semaphore, Waiter } from './semaphore.ts'
import { stackless } from './stackless.ts'
import type { Admission, CallView, Exit, StrayWork, Traits, Waiting } from './step.ts'
import { type CommonOptions, StepPolicy } from './step-policy.ts'

/** What the policies above let their users choose. */
interface SlotOptions extends CommonOptions {
  readonly maxQueue?: number | undefined
  readonly maxWait?: number | undefined
  readonly abandonAfter?: number | undefined
  readonly priority?: PriorityOption | undefined
}

type SlotDefaults = Readonly<Record<'maxQueue' | 'maxWait' | 'abandonAfter' | 'priority', number>>

const forEver = Number.POSITIVE_INFINITY
export const SLOT_DEFAULTS: SlotDefaults = {
  maxQueue: 0,
  maxWait: 30_000,
  abandonAfter: forEver,
  priority: 0,
}

/** Who is in it now. */
export interface SlotStats extends Stats {
  /** Slots in use, those of abandoned work included. */
  readonly running: number
  readonly queued: number
  readonly maxConcurrent: number
  readonly maxQueue: number
  /** Slots held by work whose caller has gone. */
  readonly abandoned: number
}

export abstract class SlotPolicy extends StepPolicy implements TurnListener {
  readonly followsWork = true
  override readonly traits: Traits
  protected readonly slots: Semaphore
  readonly #maxQueue: number
  readonly #maxWait: number
  readonly #abandonAfter: number
  readonly #priority: PriorityOption
  readonly #pulse: Pulse
  /** One for the whole line: everybody may wait equally long. */
  readonly #alarm: Alarm
  #abandoned = 0
  #turn = -1

  constructor(
    kind: string,
    options: SlotOptions,
    slots: Semaphore,
    defaults: Readonly<Record<string, unknown>> = SLOT_DEFAULTS,
  ) {
    super(kind, options, slots.gate, defaults)
    this.slots = slots
    this.#pulse = pulseOf(this.clock)
    this.#alarm = new Alarm(this.#pulse, () => this.#refuseOverdue())
    this.#maxQueue = options.maxQueue ?? SLOT_DEFAULTS.maxQueue
    this.#maxWait = options.maxWait ?? SLOT_DEFAULTS.maxWait
    this.#abandonAfter = options.abandonAfter ?? SLOT_DEFAULTS.abandonAfter
    this.#priority = options.priority ?? SLOT_DEFAULTS.priority
    this.traits = { holds: { maxWait: this.#maxQueue > 0 ? this.#maxWait : 0 } }
  }

  admit(call: CallView): Admission {
    if (this.slots.queued < this.#maxQueue) {
      const place = new PlaceInLine(this, priorityOf(call, this.#priority))
      // A priority of the user's own may have set a slot free, or had others take the last place in line.
      if (this.slots.tryAcquire()) return undefined
      if (this.slots.queued < this.#maxQueue) return place
    }
    return this.#full(0)
  }

  /** @internal Used by a place in line. */
  join(place: PlaceInLine): void {
    const pulse = this.#pulse
    place.since = pulse.now()
    // An exact clock has no turns that could end.
    if (!pulse.exact && this.#turn !== pulse.turn) {
      this.#turn = pulse.turn
      pulse.atTurnEnd(this)
    }
    this.slots.enqueue(place)
    const due = place.since + this.#maxWait
    if (due < this.#alarm.due) this.#alarm.move(due)
  }

  /** Nobody waited during a turn that was busy with something else. */
  turnEnded(began: number, now: number): void {
    if (now - began <= 1) return
    for (const waiter of this.slots.line) {
      const place = waiter as PlaceInLine
      if (place.since === began) place.since = now
    }
  }

  /** @internal Used by a place in line. */
  quit(place: PlaceInLine): void {
    this.slots.abandon(place)
    this.left()
  }

  /** @internal Used by a place in line: who waits keeps the process alive, the last one gone does not. */
  left(): void {
    if (this.slots.queued === 0) this.#alarm.move(forEver)
  }

  passed(_value: unknown, _since: number): boolean {
    this.slots.release()
    return true
  }

  leave(_outcome: Outcome, { work }: Exit): void {
    if (work === undefined) this.slots.release()
    else this.#hold(work)
  }

  override stats(): SlotStats {
    const { running, limit } = this.gate
    const queued = this.slots.queued
    const abandoned = this.#abandoned
    return {
      ...super.stats(),
      inFlight: running - abandoned + queued,
      running,
      queued,
      maxConcurrent: limit,
      maxQueue: this.#maxQueue,
      abandoned,
    }
  }

  #hold(work: StrayWork): void {
    this.#abandoned++
    this.#tell('held')
    let held = true
    const free = (slot: 'ended' | 'forgotten'): void => {
      if (!held) return
      held = false
      timer.cancel()
      this.#abandoned--
      this.slots.release()
      this.#tell(slot)
    }
    const timer = this.clock.setTimer(() => free('forgotten'), this.#abandonAfter)
    // Nobody waits for this: it must not keep a process alive.
    timer.unref()
    work.whenEnded(() => free('ended'))
  }

  #tell(slot: 'held' | 'ended' | 'forgotten'): void {
    if (!this.emitter.observed) return
    const { name: policy } = this
    const abandoned = this.#abandoned
    this.emitter.emit({ type: 'abandon', policy, at: this.clock.now(), slot, abandoned })
  }

  #full(waited: number): BulkheadFullError {
    const { running, limit: maxConcurrent } = this.gate
    const queued = this.slots.queued
    const facts = { running, queued, maxConcurrent, maxQueue: this.#maxQueue, waited }
    return stackless(() => new BulkheadFullError(this.name, facts))
  }

  #refuseOverdue(): void {
    const now = this.clock.now()
    let oldest = forEver
    for (const waiter of this.slots.line) {
      const place = waiter as PlaceInLine
      if (place.since + this.#maxWait <= now) place.refuse(this.#full(now - place.since))
      else oldest = Math.min(oldest, place.since)
    }
    this.#alarm.move(oldest + this.#maxWait)
  }
}

class PlaceInLine extends Waiter implements Waiting {
  readonly kind = 'waiting'
  since = 0
  readonly #owner: SlotPolicy
  #done: ((refusal?: BulkheadFullError) => void) | undefined

  constructor(owner: SlotPolicy, priority: number) {
    super(priority)
    this.#owner = owner
  }

  begin(done: (refusal?: BulkheadFullError) => void): void {
    this.#done = done
    this.#owner.join(this)
  }

  cancel(): void {
    this.#owner.quit(this)
  }

  onGrant(): void {
    this.#owner.left()
    this.#done?.()
  }

  refuse(error: BulkheadFullError): void {
    this.cancel()
    this.#done?.(error)
  }
}
