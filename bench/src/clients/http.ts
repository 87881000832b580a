// Requests in a closed loop, fifty at once, through the pool or through the
// platform's fetch: `http.ts pool|fetch URL REQUESTS`. Prints requests a second,
// counted after a tenth of them as a warm-up. Runs on Node, Bun and Deno.
import { HttpPool } from "@sluice/http-pool"
import { Effect } from "effect"
import { HttpClient } from "effect/http"

const connections = 50
const [through, url = "", count] = process.argv.slice(2)
const total = Number(count)

const closedLoop = async (one: () => Promise<unknown>, requests: number): Promise<number> => {
  let left = requests
  const start = performance.now()
  const work = async (): Promise<void> => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: connections }, work))
  return (requests / (performance.now() - start)) * 1000
}

const throughFetch = async (): Promise<number> => {
  const one = async (): Promise<void> => {
    const text = await (await fetch(url)).text()
    if (text !== "ok") throw new Error(`Unexpected body: ${text}`)
  }
  await closedLoop(one, total / 10)
  return closedLoop(one, total)
}

const throughPool = Effect.gen(function* () {
  const client = yield* HttpClient.HttpClient
  const one = Effect.flatMap(client.get(url), (response) => response.text)
  const loop = (requests: number) =>
    Effect.suspend(() => {
      let left = requests
      const start = performance.now()
      const work = Effect.whileLoop({ while: () => left-- > 0, body: () => one, step: () => {} })
      return Effect.map(
        Effect.all(
          Array.from({ length: connections }, () => work),
          { concurrency: "unbounded", discard: true }
        ),
        () => (requests / (performance.now() - start)) * 1000
      )
    })
  yield* loop(total / 10)
  return yield* loop(total)
}).pipe(Effect.provide(HttpPool.layer({ maxConnections: connections, maxKeepAliveConnections: connections })))

console.log(through === "pool" ? await Effect.runPromise(throughPool) : await throughFetch())
