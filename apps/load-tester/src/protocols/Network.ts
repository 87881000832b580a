/**
 * The connections of a run, to all of its origins.
 *
 * @module
 */
import type { ConnectionOptions, Protocol, Receiver, RequestSpec, RunContext } from "./Exchange.ts"
import { Http1Client } from "./Http1.ts"
import { Http2Client } from "./Http2.ts"
import { WebSocketClient } from "./WebSocket.ts"

/** A request that is ready, and can be sent again and again. */
export interface Call {
  readonly send: (scheduledAt: number, receiver: Receiver) => void
}

export interface NetworkOptions extends ConnectionOptions {
  /** Whether HTTP/2 is spoken, with prior knowledge where there is no TLS. */
  readonly http2: boolean
  /** Connections to an origin at most where each carries many exchanges, as in HTTP/2 and gRPC. */
  readonly sessions: number
}

interface Client {
  readonly call: (spec: RequestSpec, step: number) => Call
  readonly close: () => void
}

const clientOf = <Request>(protocol: Protocol<Request>): Client => ({
  call: (spec, step) => {
    const request = protocol.prepare(spec, step)
    return { send: (scheduledAt, receiver) => protocol.send(request, scheduledAt, receiver) }
  },
  close: () => protocol.close()
})

export class Network {
  private readonly options: NetworkOptions
  private readonly context: RunContext
  private readonly clients = new Map<string, Client>()

  constructor(options: NetworkOptions, context: RunContext) {
    this.options = options
    this.context = context
  }

  /** Prepares a request; the connections to its origin are shared with all others. */
  prepare(spec: RequestSpec, step: number): Call {
    const { host, protocol } = spec.url
    const origin = `${protocol}//${host}`
    let client = this.clients.get(origin)
    if (client === undefined) {
      client = this.connect(spec.url)
      this.clients.set(origin, client)
    }
    return client.call(spec, step)
  }

  close(): void {
    for (const client of this.clients.values()) client.close()
  }

  private connect(url: URL): Client {
    const { context, options } = this
    if (url.protocol.startsWith("ws")) return clientOf(new WebSocketClient(url, options, context))
    const isGrpc = url.protocol.startsWith("grpc")
    if (isGrpc || options.http2) {
      // Sessions carry many exchanges each: so many connections as users would be as many servers' worth of state.
      const connections = options.sessions
      return clientOf(new Http2Client(url, { ...options, connections, isGrpc }, context))
    }
    return clientOf(new Http1Client(url, options, context))
  }
}
