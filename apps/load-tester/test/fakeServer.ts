// An FIR server that follows the interface and misbehaves as it is told.

import { randomUUID } from "node:crypto"
import { createServer, type IncomingMessage } from "node:http"
import { Effect } from "effect"

export interface Behaviour {
  /** The report's text for a complaint; default the complaint with the section that the built-in cases ask for. */
  readonly report?: (complaint: string) => string
  /** Status of the nth call of /process, counted from 1. */
  readonly processStatus?: (call: number) => number
  /** A call of /validate that is never answered. */
  readonly stallsAt?: (call: number) => boolean
  readonly apiKey?: string
}

const read = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const chunk of request.setEncoding("utf8")) text += chunk
  return text
}

const everySection = "Sections 303(2), 304(2), 318(4), 331(4), 305."

export const fakeServer = (behaviour: Behaviour = {}) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly mostAtOnce: () => number; readonly close: () => void }>(
      (resume) => {
        const sessions = new Map<string, { text: string; steps: number }>()
        const open = new Set<string>()
        let most = 0
        let processed = 0
        let validated = 0
        const server = createServer((request, response) => {
          void read(request).then((text) => {
            const answer = (status: number, body: unknown): void => {
              response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
            }
            if (behaviour.apiKey !== undefined && request.headers["x-api-key"] !== behaviour.apiKey) {
              return answer(401, { detail: "the key" })
            }
            const path = request.url ?? ""
            if (path === "/health") {
              return answer(200, {
                status: "healthy",
                model_server: { status: "healthy" },
                database: "connected",
                concurrency: { max_concurrent_requests: 15, max_concurrent_model_calls: 10, http_pool_size: 20 }
              })
            }
            if (path === "/process") {
              const status = behaviour.processStatus?.(++processed) ?? 200
              if (status !== 200) return answer(status, { detail: "overloaded" })
              const id = randomUUID()
              sessions.set(id, { text: JSON.parse(text).text, steps: 0 })
              open.add(id)
              most = Math.max(most, open.size)
              return answer(200, { session_id: id })
            }
            if (path === "/validate") {
              if (behaviour.stallsAt?.(++validated) === true) return
              const id: string = JSON.parse(text).session_id
              const session = sessions.get(id) ?? { text: "", steps: 0 }
              session.steps++
              if (session.steps === 5) open.delete(id)
              return answer(200, { completed: session.steps === 5, content: { fir_number: `FIR-${id}` } })
            }
            const session = sessions.get(path.replace("/fir/FIR-", ""))
            if (session === undefined) return answer(404, { detail: "none" })
            const report = behaviour.report ?? ((complaint: string) => `${complaint}\n${everySection}`)
            return answer(200, { fir_number: path.slice(5), fir_content: report(session.text) })
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          resume(
            Effect.succeed({
              url: `http://127.0.0.1:${port}`,
              mostAtOnce: () => most,
              close: () => {
                server.closeAllConnections()
                server.close()
              }
            })
          )
        })
      }
    ),
    (server) => Effect.sync(() => server.close())
  )
