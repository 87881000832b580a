// Unary calls in a closed loop, fifty at once over one session, against a server
// of grpc-js in a process of its own.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { createClient } from "@connectrpc/connect"
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node"
import * as grpc from "@grpc/grpc-js"
import { GrpcPool } from "@sluice/grpc-pool"
import { EchoRequestSchema, EchoResponseSchema, EchoService } from "@sluice/grpc-pool/testing"
import { Effect, Exit, Scope } from "effect"
import type { Suite } from "../harness.ts"

const clients = 50
const calls = 10_000
const path = "/sluice.echo.v1.EchoService/Echo"

// It echoes the message's bytes: field 1 of the request is field 1 of the answer.
const serverSource = `
  const grpc = require("@grpc/grpc-js")
  const bytes = (value) => value
  const echo = {
    path: ${JSON.stringify(path)}, requestStream: false, responseStream: false,
    requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes
  }
  const server = new grpc.Server()
  server.addService({ echo }, { echo: (call, done) => done(null, call.request) })
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_, port) => process.stdout.write(String(port)))
  process.stdin.on("end", () => process.exit()).resume()
`

// The server ends when its standard input does, which is when this process ends.
const startServer = async (): Promise<string> => {
  const child = spawn(process.execPath, ["-e", serverSource], {
    stdio: ["pipe", "pipe", "inherit"],
    cwd: import.meta.dirname
  })
  const [port] = await once(child.stdout, "data")
  child.unref()
  for (const pipe of [child.stdin, child.stdout]) if ("unref" in pipe && typeof pipe.unref === "function") pipe.unref()
  return `127.0.0.1:${String(port)}`
}

let started: Promise<string> | undefined
const server = (): Promise<string> => {
  started ??= startServer()
  return started
}

const rate = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work()
  return (calls / (performance.now() - start)) * 1000
}

const throughPromises = (call: (message: string) => Promise<string>): Promise<number> => {
  let left = calls
  const loop = async (): Promise<void> => {
    while (left-- > 0) {
      const message = `hello ${left}`
      if ((await call(message)) !== message) throw new Error("Unexpected answer")
    }
  }
  return rate(() => Promise.all(Array.from({ length: clients }, loop)))
}

const throughGrpcJs = async (): Promise<number> => {
  const client = new grpc.Client(await server(), grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1
  })
  const figure = await throughPromises(
    (message) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          (request: Uint8Array) => Buffer.from(request),
          (bytes) => fromBinary(EchoResponseSchema, bytes),
          toBinary(EchoRequestSchema, create(EchoRequestSchema, { message })),
          (error, answer) => {
            if (error === null) resolve(answer?.message ?? "")
            else reject(error)
          }
        )
      })
  )
  client.close()
  return figure
}

const throughConnect = async (): Promise<number> => {
  const baseUrl = `http://${await server()}`
  const sessionManager = new Http2SessionManager(baseUrl)
  const client = createClient(EchoService, createGrpcTransport({ baseUrl, sessionManager }))
  const figure = await throughPromises(async (message) => (await client.echo({ message })).message)
  sessionManager.abort()
  return figure
}

const withPool = async (use: (pool: GrpcPool.GrpcPool) => Promise<number>): Promise<number> => {
  const scope = Scope.makeUnsafe()
  const pool = await Effect.runPromise(Scope.provide(GrpcPool.make({ addresses: [await server()] }), scope))
  const figure = await use(pool)
  const { created } = pool.statsUnsafe()
  if (created !== 1) throw new Error(`The pool was to use one session and opened ${created}`)
  await Effect.runPromise(Scope.close(scope, Exit.void))
  return figure
}

const throughPool = (): Promise<number> =>
  withPool((pool) => {
    const echo = pool.client(EchoService)
    let left = calls
    const one = Effect.suspend(() => {
      const message = `hello ${left}`
      return Effect.flatMap(echo.echo({ message }), (answer) =>
        answer.message === message ? Effect.void : Effect.die("Unexpected answer")
      )
    })
    const loop = Effect.orDie(Effect.whileLoop({ while: () => left-- > 0, body: () => one, step: () => {} }))
    return rate(() =>
      Effect.runPromise(
        Effect.all(
          Array.from({ length: clients }, () => loop),
          { concurrency: "unbounded", discard: true }
        )
      )
    )
  })

const throughPoolsTransport = (): Promise<number> =>
  withPool((pool) => {
    const client = createClient(EchoService, pool.transport)
    return throughPromises(async (message) => (await client.echo({ message })).message)
  })

const suite: Suite = {
  name: "grpc-pool",
  comparisons: [
    {
      name: `unary, ${clients} clients on one session`,
      unit: "req/s",
      against: "grpc-js",
      ours: throughPool,
      peer: throughGrpcJs,
      bar: 1
    },
    {
      name: `unary, ${clients} clients on one session`,
      unit: "req/s",
      against: "connect-node",
      ours: throughPool,
      peer: throughConnect,
      bar: 1
    },
    {
      name: `unary, Connect's client on the pool's transport`,
      unit: "req/s",
      against: "connect-node",
      ours: throughPoolsTransport,
      peer: throughConnect,
      bar: 1
    }
  ]
}

export default suite
