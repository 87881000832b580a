// A wire that the tests can cut: a TCP proxy that can hold back everything while
// connections stay open, as a partition does, or end them.

import { connect, createServer, type Socket } from "node:net"

export interface Proxy {
  readonly url: string
  /** Nothing gets through any more, in either direction, and nobody is told. */
  readonly partition: () => void
  /** What was held back goes through, and all that follows. */
  readonly heal: () => void
  /** Ends every connection. */
  readonly drop: () => void
  /** Sends new connections to another port, and ends those there are. */
  readonly redirect: (port: number) => void
  readonly close: () => Promise<void>
}

export const startProxy = async (target: number): Promise<Proxy> => {
  let port = target
  let isPartitioned = false
  const sockets = new Set<Socket>()

  const adopt = (socket: Socket): void => {
    sockets.add(socket)
    socket.on("error", () => socket.destroy())
    socket.on("close", () => sockets.delete(socket))
    if (isPartitioned) socket.pause()
  }
  const forward = (from: Socket, to: Socket): void => {
    from.on("data", (chunk) => to.write(chunk))
    from.on("close", () => to.destroy())
  }
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1")
    forward(near, far)
    forward(far, near)
    adopt(near)
    adopt(far)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("A TCP server has a port")

  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `redis://127.0.0.1:${address.port}`,
    partition: () => {
      isPartitioned = true
      for (const socket of sockets) socket.pause()
    },
    heal: () => {
      isPartitioned = false
      for (const socket of sockets) socket.resume()
    },
    drop,
    redirect: (next) => {
      port = next
      drop()
    },
    close: () => {
      drop()
      return new Promise((resolve) => server.close(() => resolve()))
    }
  }
}
