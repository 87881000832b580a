/**
 * The connections of a run, to all of its origins.
 *
 * @module
 */
import type { ConnectionOptions, Receiver, RequestSpec, RunContext } from "./Exchange.ts"
import { Http1Client } from "./Http1.ts"

/** A request that is ready, and can be sent again and again. */
export interface Call {
  readonly send: (scheduledAt: number, receiver: Receiver) => void
}

export interface NetworkOptions extends ConnectionOptions {
  /** Whether HTTP/2 is spoken, with prior knowledge where there is no TLS. */
  readonly http2: boolean
}

interface Client {
  readonly call: (spec: RequestSpec, step: number) => Call
  readonly close: () => void
}

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
    const { origin } = spec.url
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
    const client = new Http1Client(url, this.options, this.context)
    return {
      call: (spec, step) => {
        const request = client.prepare(spec, step)
        return { send: (scheduledAt, receiver) => client.send(request, scheduledAt, receiver) }
      },
      close: () => client.close()
    }
  }
}
