import { readFileSync } from "node:fs"
import * as http2 from "node:http2"
import { Code } from "@connectrpc/connect"
import { connectNodeAdapter } from "@connectrpc/connect-node"
import { expect, it } from "@effect/vitest"
import { GrpcPool } from "@sluice/grpc-pool"
import { EchoService } from "@sluice/grpc-pool/testing"
import { Effect } from "effect"

const fixture = (name: string): string => readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8")

const secureServer = Effect.map(
  Effect.acquireRelease(
    Effect.callback<{ port: number; close: () => void }>((resume) => {
      const sessions = new Set<http2.ServerHttp2Session>()
      const server = http2.createSecureServer(
        { cert: fixture("server.crt"), key: fixture("server.key") },
        connectNodeAdapter({
          routes: (router) => void router.service(EchoService, { echo: ({ message }) => ({ message }) })
        })
      )
      server.on("session", (session) => sessions.add(session))
      server.listen(0, "127.0.0.1", () => {
        const bound = server.address()
        const port = typeof bound === "object" && bound !== null ? bound.port : 0
        const close = (): void => {
          server.close()
          for (const session of sessions) session.destroy()
        }
        resume(Effect.succeed({ port, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  ),
  ({ port }) => `https://localhost:${port}`
)

it.live("calls over TLS, by a certificate that it trusts", () =>
  Effect.gen(function* () {
    const address = yield* secureServer
    for (const protocol of ["grpc", "connect"] as const) {
      const pool = yield* GrpcPool.make({ addresses: [address], protocol, tls: { ca: fixture("server.crt") } })
      expect((yield* pool.client(EchoService).echo({ message: "in private" })).message).toBe("in private")
      expect(pool.statsUnsafe()).toMatchObject({ created: 1, succeeded: 1 })
    }
  })
)

it.live("sends no call to a server whose certificate it does not trust", () =>
  Effect.gen(function* () {
    const pool = yield* GrpcPool.make({ addresses: [yield* secureServer] })
    const error = yield* Effect.flip(pool.client(EchoService).echo({ message: "in private" }))
    expect(error).toMatchObject({ code: Code.Unavailable, isSent: false })
    expect(error.details).toContain("cannot connect")
  })
)
