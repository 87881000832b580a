// An HTTP server that answers as the test says, and keeps what it was asked.

import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import { Effect, type Scope } from "effect"

export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly atMillis: number
}

export interface Scripted {
  readonly url: string
  readonly seen: ReadonlyArray<Seen>
}

/** `answer` is given the number of the request, from 0. */
export const scripted = (
  answer: (response: ServerResponse, number: number, request: Seen) => void
): Effect.Effect<Scripted, never, Scope.Scope> =>
  Effect.gen(function* () {
    const seen: Array<Seen> = []
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const made = createServer((request, response) => {
          const one = {
            method: request.method ?? "",
            path: request.url ?? "",
            headers: request.headers,
            atMillis: performance.now()
          }
          seen.push(one)
          request.resume()
          request.on("end", () => answer(response, seen.length - 1, one))
        })
        made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) =>
        Effect.callback<void>((resume) => {
          made.close(() => resume(Effect.void))
          made.closeAllConnections()
        })
    )
    const address = server.address()
    return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`, seen }
  })

export const json = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {}
): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(body))
}

export const context = { id: "c1", created_at: "2026-01-01T00:00:00Z", project_id: "p", name: "n", content: "c" }
