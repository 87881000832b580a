// A real server on loopback, closed at the end of its block.

import { createServer, type RequestListener } from "node:http"
import type { Socket } from "node:net"

export interface TestServer extends AsyncDisposable {
  readonly url: string
  /** Connections that are open, as the server sees them. */
  readonly sockets: ReadonlySet<Socket>
}

export const listen = async (handler: RequestListener): Promise<TestServer> => {
  const server = createServer({ keepAliveTimeout: 60_000 }, handler)
  const sockets = new Set<Socket>()
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The server has no port")
  return {
    url: `http://127.0.0.1:${address.port}`,
    sockets,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}
