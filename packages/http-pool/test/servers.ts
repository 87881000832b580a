// Real servers on loopback, closed with their scope.
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { Effect, type Scope } from "effect"

export interface TestServer {
  readonly url: string
  readonly port: number
  readonly server: Server
  /** Connections that are open, as the server sees them. */
  readonly sockets: ReadonlySet<Socket>
  /** Connections that were ever opened. */
  readonly accepted: () => number
}

export const listen = (handler: RequestListener): Effect.Effect<TestServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<TestServer>((resume) => {
      const sockets = new Set<Socket>()
      let accepted = 0
      const server = createServer(handler)
      server.on("connection", (socket: Socket) => {
        accepted++
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket))
        socket.on("error", () => {})
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, port, server, sockets, accepted: () => accepted }))
      })
    }),
    ({ server, sockets }) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )
