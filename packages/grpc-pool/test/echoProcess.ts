import { EchoServer } from "@sluice/grpc-pool/testing"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const server = yield* EchoServer.make({ port: Number(process.argv[2]) })
  process.send?.(server.port)
  yield* Effect.never
})

process.on("disconnect", () => process.exit())
Effect.runFork(Effect.scoped(program))
