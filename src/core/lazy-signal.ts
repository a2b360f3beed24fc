/** A signal that is made when it is first read: most functions never do. */
export class LazySignal {
  #controller: AbortController | undefined
  #over: { readonly reason: unknown } | undefined

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#over !== undefined) this.#controller.abort(this.#over.reason)
    }
    return this.#controller.signal
  }

  /** Also for whoever reads it later. The first reason stays. */
  abort(reason: unknown): void {
    this.#over ??= { reason }
    this.#controller?.abort(reason)
  }
}
