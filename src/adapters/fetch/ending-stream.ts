/**
 * A body that is a stream ends with its attempt, as the standard has it: a `fetch` that waits for the next
 * piece of it (undici 6 does) forgets its source, a file or a connection, and leaves it open.
 */

/** The pieces of `stream`, until `signal` aborts. Nothing is read before somebody asks for it. */
export function endingWith(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  let stop = (): void => {}
  const forget = (): void => signal.removeEventListener('abort', stop)
  return new ReadableStream(
    {
      start(controller) {
        stop = () => {
          controller.error(signal.reason)
          reader?.cancel(signal.reason).catch(nothing)
        }
        if (signal.aborted) stop()
        else signal.addEventListener('abort', stop, { once: true })
      },
      async pull(controller) {
        reader ??= stream.getReader()
        try {
          const { done, value } = await reader.read()
          if (signal.aborted) return
          if (!done) return controller.enqueue(value)
          forget()
          controller.close()
        } catch (error) {
          forget()
          throw error
        }
      },
      // What nobody has read from may be sent once more.
      cancel(reason) {
        forget()
        return reader?.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}

/** What can only be iterated, as a stream, where the platform knows how. */
export function streamOf(body: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> | undefined {
  const { from } = ReadableStream as { from?: (body: unknown) => ReadableStream<Uint8Array> }
  return from?.call(ReadableStream, body)
}

function nothing(): void {}
