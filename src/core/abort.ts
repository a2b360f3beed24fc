/**
 * One listener per caller's signal, however many calls share it.
 *
 * `addEventListener` walks the listeners that are there: with 10,000 calls on one shutdown signal that
 * is 60 µs per call, and `AbortSignal.any` leaks on long-lived parents (nodejs/node#54614). Here the
 * calls of a signal form an intrusive list behind a single listener, which leaves with the last of them.
 */

/** A call that wants to know when its caller's signal aborts. It brings its own links. */
export interface Linked {
  hub: SignalHub | undefined
  previous: Linked | undefined
  next: Linked | undefined
  /** Called once, after unlinking. Must not throw. */
  onAbort(reason: unknown): void
}

const hubs = new WeakMap<AbortSignal, SignalHub>()

class SignalHub {
  readonly signal: AbortSignal
  first: Linked | undefined

  constructor(signal: AbortSignal) {
    this.signal = signal
  }

  handleEvent(): void {
    const reason: unknown = this.signal.reason
    // Taken off one by one, since an onAbort may unlink others.
    for (let linked = this.first; linked !== undefined; linked = this.first) {
      unlink(linked)
      linked.onAbort(reason)
    }
  }
}

export type { SignalHub }

/** Lets `linked.onAbort` be called when `signal` aborts. The signal must not be aborted yet. */
export function link(signal: AbortSignal, linked: Linked): void {
  let hub = hubs.get(signal)
  if (hub === undefined) {
    hub = new SignalHub(signal)
    hubs.set(signal, hub)
  }
  const { first } = hub
  if (first === undefined) signal.addEventListener('abort', hub)
  else first.previous = linked
  linked.hub = hub
  linked.next = first
  hub.first = linked
}

/** Undoes `link`. Harmless when not linked. */
export function unlink(linked: Linked): void {
  const { hub, previous, next } = linked
  if (hub === undefined) return
  if (previous === undefined) hub.first = next
  else previous.next = next
  if (next !== undefined) next.previous = previous
  linked.hub = undefined
  linked.previous = undefined
  linked.next = undefined
  if (hub.first === undefined) hub.signal.removeEventListener('abort', hub)
}
