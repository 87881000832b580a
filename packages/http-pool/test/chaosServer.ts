// A server that misbehaves in every way that servers do, by a seeded die.
import type { ServerResponse } from "node:http"
import { Effect, type Scope } from "effect"
import { die } from "./die.ts"
import { listen, type TestServer } from "./servers.ts"

export interface ChaosServer extends TestServer {
  /** How often each POST was executed, by its idempotency key. */
  readonly executions: ReadonlyMap<string, number>
  readonly faults: () => number
}

const inPieces = (response: ServerResponse, pieces: number): void => {
  if (response.destroyed) return
  if (pieces === 0) {
    response.end()
    return
  }
  response.write("piece ")
  setImmediate(() => inPieces(response, pieces - 1))
}

export const chaos = (seed: number): Effect.Effect<ChaosServer, never, Scope.Scope> =>
  Effect.suspend(() => {
    const throwDie = die(seed)
    const executions = new Map<string, number>()
    let faults = 0
    const handling = listen((request, response) => {
      const key = request.headers["idempotency-key"]
      if (typeof key === "string") executions.set(key, (executions.get(key) ?? 0) + 1)
      request.resume()
      const cast = throwDie()
      if (cast < 0.3) faults++
      const { socket } = request
      if (cast < 0.1) socket.resetAndDestroy()
      // Nothing before the head, and then nothing within the body.
      else if (cast < 0.13) return
      else if (cast < 0.15) response.setHeader("content-length", 100).write("half")
      else if (cast < 0.2) response.writeHead(503, { "retry-after": "0" }).end("busy")
      // Idle connections that are closed without a word in the response.
      else if (cast < 0.25) response.end("last", () => setImmediate(() => socket.end()))
      else if (cast < 0.26) response.end("last", () => socket.destroy())
      else if (cast < 0.28) inPieces(response, 20)
      else if (cast < 0.29) response.end(Buffer.alloc(200_000, "x"))
      else if (cast < 0.3) socket.end("this is not HTTP\r\n\r\n")
      else response.end("ok")
    })
    return Effect.map(handling, (server) => ({ ...server, executions, faults: () => faults }))
  })
