// One of the threads that load a server at once: a pool of its own, clients, and one place where all record.
import { parentPort, workerData } from "node:worker_threads"
import { Code } from "@connectrpc/connect"
import { GrpcPool } from "@sluice/grpc-pool"
import { EchoService } from "@sluice/grpc-pool/testing"
import { Effect } from "effect"
import { attach, record } from "./loadTestMetrics.ts"

interface Load {
  readonly buffer: SharedArrayBuffer
  readonly address: string
  readonly clients: number
  readonly requests: number
}

const { address, buffer, clients, requests }: Load = workerData
const metrics = attach(buffer)
const latencies: Array<number> = []

const program = Effect.gen(function* () {
  const pool = yield* GrpcPool.make({ addresses: [address] })
  const echo = pool.client(EchoService)
  const request = (index: number) =>
    Effect.suspend(() => {
      const start = performance.now()
      const end = (isSuccess: boolean) =>
        Effect.sync(() => latencies.push(record(metrics, performance.now() - start, isSuccess)))
      return Effect.matchEffect(echo.echo({ message: `${index}`, failWith: index % 10 === 9 ? Code.Internal : 0 }), {
        onFailure: () => end(false),
        onSuccess: () => end(true)
      })
    })
  const client = Effect.acquireUseRelease(
    Effect.sync(() => metrics.instruments.activeClients.addUnsafe(1)),
    () => Effect.forEach(Array(requests).keys(), request, { discard: true }),
    () => Effect.sync(() => metrics.instruments.activeClients.addUnsafe(-1))
  )
  yield* Effect.all(
    Array.from({ length: clients }, () => client),
    { concurrency: "unbounded", discard: true }
  )
  return pool.statsUnsafe().created
})

const created = await Effect.runPromise(Effect.scoped(program))
parentPort?.postMessage({ latencies, created })
