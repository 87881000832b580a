// A server whose delays are known: it holds each answer as its schedule says, and
// remembers for how long it did. Its argument is the schedule; `GET /truth` tells
// in milliseconds what was held since the last time that it was asked.

import { createServer } from "node:http"

const began = performance.now()
const stallEveryMillis = 10_000
const stallMillis = 1000

let requests = 0
const schedules: Readonly<Record<string, () => number>> = {
  fixed: () => 50,
  bimodal: () => (++requests % 5 === 0 ? 200 : 20),
  // The last second of every ten: whoever comes then waits until it is over.
  stalls: () => {
    const at = (performance.now() - began) % stallEveryMillis
    return 20 + Math.max(0, at >= stallEveryMillis - stallMillis ? stallEveryMillis - at : 0)
  }
}

const delay = schedules[process.argv[2] ?? ""]
if (delay === undefined) throw new Error(`The schedules are ${Object.keys(schedules).join(", ")}`)

let held: Array<number> = []

const server = createServer((request, response) => {
  if (request.url === "/truth") {
    response.end(JSON.stringify(held))
    held = []
    return
  }
  const arrived = performance.now()
  const until = arrived + delay()
  const answer = (): void => {
    // A timer may be early by a part of a millisecond.
    if (performance.now() < until) {
      setImmediate(answer)
      return
    }
    held.push(performance.now() - arrived)
    response.end("hello")
  }
  setTimeout(answer, Math.floor(until - arrived) - 1)
})

server.keepAliveTimeout = 60_000
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  console.log(typeof address === "object" && address !== null ? address.port : 0)
})
process.stdin.on("end", () => process.exit()).resume()
