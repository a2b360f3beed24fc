/** Stands between a client and a server, and does to their connections what networks do. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface FaultProxy {
  readonly port: number
  /** Connections that are open now; those that are silent are asked for a sign of life. */
  readonly open: number
  /** Connections that were taken so far. */
  readonly taken: number
  /** Where new connections are sent: another port after a failover. */
  target: number
  /** Connections are taken, nothing passes either way, and nobody is told. */
  blackHole: boolean
  /** Resets a connection when the server answers: what was asked has been done, and nobody knows. */
  resetOnAnswer: boolean
  /** How long whatever the client sends is kept back, in ms. */
  latency: number
  /** Resets every connection: both sides get ECONNRESET. */
  reset(): void
  /** As a router that has forgotten them: those that are open now pass nothing any more. */
  forget(): void
  close(): Promise<void>
}

export async function faultProxy(target: number): Promise<FaultProxy> {
  const proxy = new Middleman(target)
  await proxy.listen()
  return proxy
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  forgotten: boolean
  /** The client has said its last word. */
  ended: boolean
}

class Middleman implements FaultProxy {
  target: number
  blackHole = false
  resetOnAnswer = false
  latency = 0
  taken = 0
  readonly #pairs = new Set<Pair>()
  readonly #listener = createServer({ allowHalfOpen: true }, (client) => this.#take(client))

  constructor(target: number) {
    this.target = target
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port
  }

  get open(): number {
    // Whoever has closed its socket, and not only its half of it, answers with a reset.
    for (const { client, ended } of this.#pairs) if (ended) client.write('?')
    return this.#pairs.size
  }

  async listen(): Promise<void> {
    this.#listener.listen(0, '127.0.0.1')
    await once(this.#listener, 'listening')
  }

  reset(): void {
    for (const pair of [...this.#pairs]) this.#reset(pair)
  }

  forget(): void {
    for (const pair of this.#pairs) pair.forgotten = true
  }

  async close(): Promise<void> {
    this.reset()
    if (!this.#listener.listening) return
    this.#listener.close()
    await once(this.#listener, 'close')
  }

  #take(client: Socket): void {
    this.taken++
    const server = connect({ port: this.target, host: '127.0.0.1', allowHalfOpen: true })
    const pair: Pair = { client, server, forgotten: false, ended: false }
    const isSilent = (): boolean => pair.forgotten || this.blackHole
    this.#pairs.add(pair)
    client.on('data', (data) => {
      if (isSilent()) return
      if (this.latency === 0) server.write(data)
      else setTimeout(() => server.writable && server.write(data), this.latency)
    })
    server.on('data', (data) => {
      if (this.resetOnAnswer) this.#reset(pair)
      else if (!isSilent()) client.write(data)
    })
    client.on('end', () => {
      pair.ended = isSilent()
    })
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => {})
      one.on('end', () => isSilent() || other.end())
      one.on('close', (hadError) => {
        this.#pairs.delete(pair)
        if (hadError) other.resetAndDestroy()
        else other.destroy()
      })
    }
  }

  #reset({ client, server }: Pair): void {
    client.resetAndDestroy()
    server.resetAndDestroy()
  }
}
