/**
 * An HTTP server on raw sockets that does what no framework would: breaks off anywhere, lies about
 * lengths, drips, talks nonsense, never answers. It keeps its own count of connections and of what had an
 * effect, which is what clients are judged by.
 */
import { createServer, type Server, type Socket } from 'node:net'

/** One request, as it came in. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** Which request to this path it is, counted from 1. */
  readonly nth: number
  readonly socket: Socket
}

/** Answers one request, or does something worse. */
export type Behaviour = (request: Received) => void

export interface HostileServer {
  readonly url: string
  readonly port: number
  /** Every request whose head came in, in order. */
  readonly requests: readonly Received[]
  /** How often each path was asked for. */
  count(path: string): number
  /** Connections: open now, the most at a time, and all there were. */
  readonly connections: { open: number; most: number; all: number }
  close(): Promise<void>
}

/** Starts a server that behaves by path; a path that is not named is answered with `ok`. */
export async function hostileServer(
  behaviours: Readonly<Record<string, Behaviour>> = {},
): Promise<HostileServer> {
  const requests: Received[] = []
  const sockets = new Set<Socket>()
  const connections = { open: 0, most: 0, all: 0 }
  const count = (path: string): number => requests.filter((one) => one.path === path).length
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    connections.all++
    connections.most = Math.max(connections.most, ++connections.open)
    socket.on('close', () => {
      sockets.delete(socket)
      connections.open--
    })
    socket.on('error', () => {})
    readRequests(socket, (parts) => {
      const request = { ...parts, nth: count(parts.path) + 1, socket }
      requests.push(request)
      const behave = behaviours[request.path] ?? ok
      behave(request)
    })
  })
  const port = await listen(server)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    count,
    connections,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** A server that accepts connections and says nothing; or closes them at once. */
export async function silentServer(
  accept: (socket: Socket) => void = () => {},
): Promise<{ url: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    accept(socket)
  })
  const port = await listen(server)
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      for (const socket of sockets) socket.destroy()
      server.close(() => resolve())
    })
  return { url: `http://127.0.0.1:${port}`, close }
}

/** A port on which nothing listens. */
export async function deadPort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

/** A whole, honest answer. */
export function respond(
  { socket, method }: Received,
  status: number,
  body: string | Buffer = '',
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(body)
  const lines = Object.entries({ 'content-length': String(bytes.length), ...headers })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.write(`HTTP/1.1 ${status} Said\r\n${head}\r\n`)
  if (method !== 'HEAD') socket.write(bytes)
}

export const ok: Behaviour = (request) => respond(request, 200, 'ok')

/** The same answer each time. */
export function always(
  status: number,
  body: string | Buffer = '',
  headers: Readonly<Record<string, string>> = {},
): Behaviour {
  return (request) => respond(request, status, body, headers)
}

/** One behaviour after the other, the last one from then on. */
export function sequence(...behaviours: readonly Behaviour[]): Behaviour {
  return (request) => {
    const behave = behaviours[Math.min(request.nth, behaviours.length) - 1] ?? ok
    behave(request)
  }
}

/** Breaks the connection after `sent` was written: TCP reset. */
export function resetAfter(sent = ''): Behaviour {
  return ({ socket }) => {
    if (sent === '') return void socket.resetAndDestroy()
    socket.write(sent, () => setImmediate(() => socket.resetAndDestroy()))
  }
}

/** Closes the connection in good order after `sent` was written. */
export function closeAfter(sent = ''): Behaviour {
  return ({ socket }) => void socket.end(sent)
}

/** Writes `sent` and then nothing, for ever. */
export function stallAfter(sent = ''): Behaviour {
  return ({ socket }) => void socket.write(sent)
}

/** Sends a body byte by byte, one every `interval` ms, until nobody listens. */
export function drip(interval: number, head: string = HEAD_CHUNKED): Behaviour {
  return ({ socket }) => {
    socket.write(head)
    const timer = setInterval(() => socket.write('1\r\nx\r\n'), interval)
    socket.on('close', () => clearInterval(timer))
  }
}

export const HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n'
export const HEAD_CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'

/** The ways in which an answer can go wrong although the request was read to its end. */
export const breakages: Readonly<Record<string, Behaviour>> = {
  'reset before the head': resetAfter(),
  'reset within the head': resetAfter('HTTP/1.1 200 OK\r\ncontent-le'),
  'close before the head': closeAfter(),
  'close within the head': closeAfter('HTTP/1.1 200 OK\r\ncontent-le'),
  garbage: closeAfter('\u0000\u0001 this is no HTTP at all\r\n\r\n'),
  'a head that is too large': closeAfter(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(200_000)}\r\n\r\n`),
}

/** The ways in which a body can break off. */
export const brokenBodies: Readonly<Record<string, Behaviour>> = {
  'reset after the head': resetAfter(HEAD),
  'reset within the body': resetAfter(`${HEAD}half`),
  'half a body': closeAfter(`${HEAD}half`),
  'half a chunk': closeAfter(`${HEAD_CHUNKED}a\r\nhalf`),
  'chunks that are none': closeAfter(`${HEAD_CHUNKED}zz\r\nnonsense\r\n`),
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

type Parts = Omit<Received, 'nth' | 'socket'>

/** Reads requests one after the other: lengths and chunks, nothing more. */
function readRequests(socket: Socket, tell: (request: Parts) => void): void {
  let buffer = Buffer.alloc(0)
  socket.on('data', (piece) => {
    buffer = Buffer.concat([buffer, piece])
    for (;;) {
      const read = readOne(buffer)
      if (read === undefined) return
      buffer = buffer.subarray(read.length)
      tell(read.request)
    }
  })
}

function readOne(buffer: Buffer): { request: Parts; length: number } | undefined {
  const end = buffer.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = buffer.subarray(0, end).toString('latin1').split('\r\n')
  const [method = '', path = ''] = first.split(' ')
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  ) as Record<string, string>
  const start = end + 4
  const read = headers['transfer-encoding']?.includes('chunked')
    ? readChunks(buffer, start)
    : readLength(buffer, start, Number(headers['content-length'] ?? 0))
  if (read === undefined) return undefined
  return { request: { method, path, headers, body: read.body }, length: read.end }
}

function readLength(
  buffer: Buffer,
  start: number,
  length: number,
): { body: Buffer; end: number } | undefined {
  const end = start + length
  return buffer.length < end ? undefined : { body: buffer.subarray(start, end), end }
}

function readChunks(buffer: Buffer, start: number): { body: Buffer; end: number } | undefined {
  const chunks: Buffer[] = []
  for (let at = start; ; ) {
    const lineEnd = buffer.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(buffer.subarray(at, lineEnd).toString('latin1'), 16)
    const from = lineEnd + 2
    if (buffer.length < from + size + 2) return undefined
    if (size === 0) return { body: Buffer.concat(chunks), end: from + 2 }
    chunks.push(buffer.subarray(from, from + size))
    at = from + size + 2
  }
}
