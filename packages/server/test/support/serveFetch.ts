// Serves a fetch handler with what the runtime has for it; on Node, which has nothing,
// with a few lines such as any framework has.

import { createServer } from "node:http"
import type { FetchHandler } from "@sluice/server"

type Handler = (request: Request, peer?: FetchHandler.Peer) => Promise<Response>

export interface Served {
  readonly name: string
  readonly port: number
  readonly close: () => Promise<void>
}

interface DenoServer {
  readonly addr: { readonly port: number }
  shutdown(): Promise<void>
}

interface BunServer {
  readonly port: number
  stop(force: boolean): Promise<void>
}

interface Runtimes {
  readonly Deno?: {
    serve(options: { port: number; hostname: string; onListen(): void }, handler: Handler): DenoServer
  }
  readonly Bun?: { serve(options: { port: number; hostname: string; fetch: Handler }): BunServer }
}

const onNode = (handler: Handler): Promise<Served> =>
  new Promise((resolve) => {
    const server = createServer(async (request, response) => {
      const answer = await handler(
        new Request(`http://localhost${request.url}`, { method: request.method ?? "GET" }),
        request.socket.remoteAddress
      )
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(new Uint8Array(await answer.arrayBuffer()))
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve({
        name: "node:http",
        port: address !== null && typeof address === "object" ? address.port : 0,
        close: () => new Promise((done) => server.close(() => done()).closeAllConnections())
      })
    })
  })

export const serveFetch = async (handler: Handler): Promise<Served> => {
  const Deno: Runtimes["Deno"] = Reflect.get(globalThis, "Deno")
  const Bun: Runtimes["Bun"] = Reflect.get(globalThis, "Bun")
  const hostname = "127.0.0.1"
  if (Deno !== undefined) {
    const server = Deno.serve({ port: 0, hostname, onListen: () => undefined }, handler)
    return { name: "Deno.serve", port: server.addr.port, close: () => server.shutdown() }
  }
  if (Bun !== undefined) {
    const server = Bun.serve({ port: 0, hostname, fetch: handler })
    return { name: "Bun.serve", port: server.port, close: () => server.stop(true) }
  }
  return onNode(handler)
}
