/**
 * Calls one attempt off. Its signal is made when somebody asks for it: for a client that needs none it
 * would be the most expensive part of a call.
 */
export class Aborter {
  #over: { readonly reason: unknown } | undefined
  #controller: AbortController | undefined
  #tell: ((reason: unknown) => void) | undefined

  /** Whoever holds it may abort it too. */
  get controller(): AbortController {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#over !== undefined) this.#controller.abort(this.#over.reason)
    }
    return this.#controller
  }

  get aborted(): boolean {
    return this.#over !== undefined || this.#controller?.signal.aborted === true
  }

  get reason(): unknown {
    return this.#over === undefined ? this.#controller?.signal.reason : this.#over.reason
  }

  /** Calls back when it is aborted; one at a time, and nobody once it is forgotten. */
  tell(listener: ((reason: unknown) => void) | undefined): void {
    this.#tell = listener
  }

  abort(why: unknown): void {
    if (this.aborted) return
    const reason = why === undefined ? new DOMException('it was aborted', 'AbortError') : why
    this.#over = { reason }
    this.#controller?.abort(reason)
    this.#tell?.(reason)
  }
}
