// A shop that is slow in known ways: a list from a cache that misses now and then, orders that wait for a payment, a pause of
// everything for 400 ms halfway, and after it some seconds in which orders are refused.
import { createServer, type Server } from "node:http"

export interface Shop {
  readonly url: string
  readonly close: () => void
}

/** `slowness` multiplies every delay; `workers` is how many requests are served at once. */
export const start = ({
  pauseAfterSeconds = 30,
  slowness = 1,
  workers = Number.POSITIVE_INFINITY
} = {}): Promise<Shop> => {
  const waiting: Array<() => void> = []
  let busy = 0
  const begin = (work: () => void): void => {
    if (busy >= workers) {
      waiting.push(work)
      return
    }
    busy++
    work()
  }
  const end = (): void => {
    const next = waiting.shift()
    if (next === undefined) busy--
    else next()
  }
  const began = performance.now()
  const secondsIn = (): number => (performance.now() - began) / 1000
  const delayOf = (path: string): number => {
    if (path === "/items") return Math.random() < 0.05 ? 45 + Math.random() * 15 : 3 + Math.random() * 2
    return path === "/orders" ? 18 + Math.random() * 14 : 6 + Math.random() * 4
  }
  const server: Server = createServer((request, response) => {
    const path = request.url ?? ""
    const seconds = secondsIn()
    const pause =
      seconds > pauseAfterSeconds && seconds < pauseAfterSeconds + 0.4 ? pauseAfterSeconds + 0.4 - seconds : 0
    const refuses = path === "/orders" && seconds > pauseAfterSeconds && seconds < pauseAfterSeconds + 3
    const body = path === "/items" ? JSON.stringify({ items: Array.from({ length: 40 }, (_, id) => ({ id })) }) : "{}"
    request.resume()
    begin(() =>
      setTimeout(
        () => {
          response.writeHead(refuses ? 503 : path === "/orders" ? 201 : 200, { "content-type": "application/json" })
          response.end(body)
          end()
        },
        pause * 1000 + delayOf(path) * slowness
      )
    )
  })
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const close = (): void => {
        server.closeAllConnections()
        server.close()
      }
      resolve({ url: `http://127.0.0.1:${port}`, close })
    })
  })
}
