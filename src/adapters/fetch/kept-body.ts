/**
 * The body of a `Request`, which gives it as a stream, whatever it was made of: what is small is kept, so
 * that it can be sent again, what is large goes on as a stream.
 */
import { endingWith } from './ending-stream.ts'

/** So much is kept in memory. */
const KEPT = 1_048_576

export class KeptBody {
  readonly #stream: ReadableStream<Uint8Array>
  #body: Promise<Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>> | undefined
  #isThere = true

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#stream = stream
  }

  /** Whether it can be sent once more. */
  get isThere(): boolean {
    return this.#isThere
  }

  /** Reads it once. Who gives it slowly must not make anybody wait for longer than until `signal` aborts. */
  read(signal: AbortSignal): Promise<Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>> {
    this.#body ??= this.#readOnce(signal)
    return this.#body
  }

  async #readOnce(
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>> {
    const reader = this.#stream.getReader()
    const stop = (): void => {
      this.#isThere = false
      reader.cancel(signal.reason).catch(nothing)
    }
    signal.addEventListener('abort', stop, { once: true })
    try {
      const chunks: Uint8Array[] = []
      let size = 0
      for (;;) {
        const { done, value } = await reader.read()
        signal.throwIfAborted()
        if (done) return joined(chunks, size)
        chunks.push(value)
        size += value.byteLength
        if (size <= KEPT) continue
        this.#isThere = false
        return endingWith(goingOn(chunks, reader), signal)
      }
    } catch (error) {
      this.#isThere = false
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }
}

/** What was read already, then the rest. */
function goingOn(
  chunks: readonly Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  const read = [...chunks]
  return new ReadableStream({
    async pull(controller) {
      const first = read.shift()
      if (first !== undefined) return controller.enqueue(first)
      const { done, value } = await reader.read()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.byteLength
  }
  return all
}

function nothing(): void {}
