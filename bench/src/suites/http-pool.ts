// Requests in a closed loop against a server in a process of its own: fifty at
// once, each with its connection, no pipelining, a body of two bytes.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { NodeHttpClient } from "@effect/platform-node"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Exit, Scope } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { Agent, Pool } from "undici"
import type { Suite } from "../harness.ts"

const connections = 50
const requests = 40_000

const serverSource = `
  const server = require("node:http").createServer((_, response) => response.end("ok"))
  server.keepAliveTimeout = 60_000
  server.listen(0, "127.0.0.1", () => process.stdout.write(String(server.address().port)))
  process.stdin.on("end", () => process.exit()).resume()
`

// The server ends when its standard input does, which is when this process ends.
const startServer = async (): Promise<string> => {
  const child = spawn(process.execPath, ["-e", serverSource], { stdio: ["pipe", "pipe", "inherit"] })
  const [port] = await once(child.stdout, "data")
  child.unref()
  for (const pipe of [child.stdin, child.stdout]) if ("unref" in pipe && typeof pipe.unref === "function") pipe.unref()
  return `http://127.0.0.1:${String(port)}`
}

let started: Promise<string> | undefined
const server = (): Promise<string> => {
  started ??= startServer()
  return started
}

const rate = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work()
  return (requests / (performance.now() - start)) * 1000
}

const throughDispatch = async (): Promise<number> => {
  const pool = new Pool(await server(), { connections, pipelining: 1 })
  let sent = 0
  let done = 0
  const figure = await rate(
    () =>
      new Promise<void>((resolve, reject) => {
        const send = (): void => {
          sent++
          let body = ""
          pool.dispatch(
            { path: "/", method: "GET" },
            {
              onRequestStart() {},
              onResponseStart() {},
              onResponseData(_, chunk) {
                body += chunk.toString()
              },
              onResponseEnd() {
                if (body !== "ok") reject(new Error(`Unexpected body: ${body}`))
                if (++done === requests) resolve()
                else if (sent < requests) send()
              },
              onResponseError(_, error) {
                reject(error)
              }
            }
          )
        }
        for (let i = 0; i < connections; i++) send()
      })
  )
  await pool.destroy()
  return figure
}

const throughClient = async (client: HttpClient.HttpClient): Promise<number> => {
  const request = HttpClientRequest.get(await server())
  const one = Effect.flatMap(client.execute(request), (response) => response.text)
  let left = requests
  const loop: Effect.Effect<void> = Effect.orDie(
    Effect.whileLoop({ while: () => left-- > 0, body: () => one, step: () => {} })
  )
  return rate(() =>
    Effect.runPromise(
      Effect.all(
        Array.from({ length: connections }, () => loop),
        { concurrency: "unbounded", discard: true }
      )
    )
  )
}

const throughPool = async (): Promise<number> => {
  const scope = Scope.makeUnsafe()
  const pool = await Effect.runPromise(
    Scope.provide(HttpPool.make({ maxConnections: connections, maxKeepAliveConnections: connections }), scope)
  )
  const figure = await throughClient(pool.client)
  await Effect.runPromise(Scope.close(scope, Exit.void))
  return figure
}

const throughEffectUndici = async (): Promise<number> => {
  const dispatcher = new Agent({ connections, pipelining: 1 })
  const client = await Effect.runPromise(
    Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)
  )
  const figure = await throughClient(
    HttpClient.transformResponse(client, Effect.provideService(NodeHttpClient.Dispatcher, dispatcher))
  )
  await dispatcher.destroy()
  return figure
}

const suite: Suite = {
  name: "http-pool",
  comparisons: [
    {
      name: `GET, ${connections} connections, no pipelining`,
      unit: "req/s",
      against: "undici Pool.dispatch",
      ours: throughPool,
      peer: throughDispatch,
      bar: 0.8,
      rounds: 5
    },
    {
      name: `GET, ${connections} connections, no pipelining`,
      unit: "req/s",
      against: "Effect's undici layer",
      ours: throughPool,
      peer: throughEffectUndici,
      bar: 2.5,
      rounds: 5
    }
  ]
}

export default suite
