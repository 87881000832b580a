// Real servers on loopback, closed with their scope.
import { createServer, type RequestListener, type Server } from "node:http"
import { type AddressInfo, createServer as createTcpServer, type Server as NetServer, type Socket } from "node:net"
import { Context, Effect, Scope } from "effect"

export interface TestServer {
  readonly url: string
  readonly port: number
  /** Connections that are open, as the server sees them. */
  readonly sockets: ReadonlySet<Socket>
  /** Connections that were ever opened. */
  readonly accepted: () => number
}

export const started = (server: NetServer): Effect.Effect<TestServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<TestServer & { readonly stop: Effect.Effect<void> }>((resume) => {
      const sockets = new Set<Socket>()
      let accepted = 0
      server.on("connection", (socket: Socket) => {
        accepted++
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket))
        socket.on("error", () => {})
      })
      const stop = Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, port, sockets, accepted: () => accepted, stop }))
      })
    }),
    ({ stop }) => stop
  )

export const listen = (handler: RequestListener, configure: (server: Server) => void = () => {}) =>
  Effect.suspend(() => {
    const server = createServer({ keepAliveTimeout: 60_000 }, handler)
    configure(server)
    return started(server)
  })

export const listenTcp = (onSocket: (socket: Socket) => void) =>
  Effect.suspend(() => started(createTcpServer(onSocket)))

/** A port at which nobody listens. */
export const closedPort: Effect.Effect<number> = Effect.scoped(
  Effect.map(
    listenTcp(() => {}),
    ({ port }) => port
  )
)

/** Lets the event loop turn until something is so. */
export const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    let isWanted = true
    const look = (): void => {
      if (!isWanted) return
      if (isSo()) resume(Effect.void)
      else setImmediate(look)
    }
    look()
    return Effect.sync(() => {
      isWanted = false
    })
  })

/** Runs without the scope that tests have, since a request in a scope takes another way through the client. */
export const unscoped = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(effect, (context: Context.Context<R>) => {
    const services = new Map(context.mapUnsafe)
    services.delete(Scope.Scope.key)
    return Context.makeUnsafe<R>(services)
  })
