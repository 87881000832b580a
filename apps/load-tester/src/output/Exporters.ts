/**
 * Results to where metrics are kept: scraped by Prometheus, written to it, or pushed in OpenTelemetry's protocol.
 *
 * @module
 */
import { createServer } from "node:http"
import { Exposition, Registry } from "@sluice/metrics"
import { Otlp } from "@sluice/metrics/otlp"
import { Data, Effect, Layer, type Scope } from "effect"
import { FetchHttpClient, HttpBody, HttpClient, HttpClientRequest } from "effect/http"
import type * as Result from "../results/Result.ts"
import * as Metrics from "./Metrics.ts"
import * as RemoteWrite from "./RemoteWrite.ts"

/** Metrics could not be served or delivered. */
export class ExportFailed extends Data.TaggedError("@sluice/load-tester/ExportFailed")<{ readonly message: string }> {}

export interface Address {
  readonly host: string
  readonly port: number
}

/** `9464`, `:9464` or `host:9464`. */
export const parseAddress = (text: string): Effect.Effect<Address, ExportFailed> => {
  const [, host, digits] = /^(?:(.*):)?(\d+)$/.exec(text) ?? []
  const port = Number(digits)
  return digits === undefined || port > 65_535
    ? Effect.fail(
        new ExportFailed({ message: `Cannot serve metrics at ${text}: a port is needed, or an address and a port` })
      )
    : Effect.succeed({ host: host === undefined || host === "" ? "127.0.0.1" : host, port })
}

/** Answers scrapes of `/metrics` with what a run has come to, until the scope closes. Answers where. */
export const scrape = (
  { host, port }: Address,
  read: () => Result.Result
): Effect.Effect<string, ExportFailed, Scope.Scope> => {
  const registry = Metrics.registry(read)
  const server = createServer((request, response) => {
    if (request.url?.split("?")[0] !== "/metrics") {
      response.writeHead(404).end()
      return
    }
    const { body, contentType } = Exposition.negotiate(registry, request.headers.accept)
    response.writeHead(200, { "content-type": contentType, vary: "accept" }).end(body)
  })
  return Effect.acquireRelease(
    Effect.callback<string, ExportFailed>((resume) => {
      server.once("error", (error) =>
        resume(Effect.fail(new ExportFailed({ message: `Cannot serve metrics at ${host}:${port}: ${error.message}` })))
      )
      server.listen(port, host, () => {
        const address = server.address()
        const bound = typeof address === "object" && address !== null ? address.port : port
        resume(Effect.succeed(`http://${host}:${bound}/metrics`))
      })
    }),
    () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
}

/**
 * Pushes what a run has come to in OpenTelemetry's protocol, every ten seconds until the scope closes, and once more then.
 * A collector that is away is no failure of the run.
 */
export const otlp = (url: string, read: () => Result.Result): Effect.Effect<void, never, Scope.Scope> =>
  Layer.build(
    Otlp.layer({ url, exportInterval: "10 seconds", resource: { serviceName: "sluice-load" } }).pipe(
      Layer.provide([Layer.succeed(Registry.Registry, Metrics.registry(read)), FetchHttpClient.layer])
    )
  ).pipe(Effect.asVoid)

/** Writes the seconds of a result to Prometheus, or to whatever takes its remote write. */
export const remoteWrite = (url: string, result: Result.Result): Effect.Effect<void, ExportFailed> =>
  Effect.forEach(
    RemoteWrite.requests(result),
    (body) =>
      HttpClient.execute(
        HttpClientRequest.post(url).pipe(
          HttpClientRequest.setHeaders({
            "content-encoding": "snappy",
            "x-prometheus-remote-write-version": "0.1.0",
            "user-agent": "sluice-load"
          }),
          HttpClientRequest.setBody(HttpBody.uint8Array(body, "application/x-protobuf"))
        )
      ).pipe(
        Effect.flatMap((response) =>
          response.status >= 200 && response.status < 300
            ? Effect.void
            : Effect.flatMap(response.text, (text) =>
                Effect.fail(
                  new ExportFailed({ message: `Cannot write to ${url}: it answered ${response.status} ${text.trim()}` })
                )
              )
        ),
        Effect.catchTag("HttpClientError", (error) =>
          Effect.fail(new ExportFailed({ message: `Cannot write to ${url}: ${error.message}` }))
        )
      ),
    { discard: true }
  ).pipe(Effect.provide(FetchHttpClient.layer))
