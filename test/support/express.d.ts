/** As much of Express as the tests use; it brings no types of its own. */
declare module 'express' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  interface Request extends IncomingMessage {
    readonly url: string
    readonly body: unknown
  }
  interface Response extends ServerResponse {
    send(body: string): void
    status(code: number): this
  }
  type Handler = (request: Request, response: Response, next: (error?: unknown) => void) => unknown
  type ErrorHandler = (
    error: unknown,
    request: Request,
    response: Response,
    next: (error?: unknown) => void,
  ) => unknown
  interface Website {
    (request: IncomingMessage, response: ServerResponse): void
    use(...handlers: (Handler | ErrorHandler)[]): this
    use(path: string, ...handlers: (Handler | ErrorHandler | Website)[]): this
  }
  const express: { (): Website; text(): Handler }
  export default express
  export type { Request, Response }
}
