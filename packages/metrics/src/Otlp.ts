/**
 * Pushes metrics to a collector, in OpenTelemetry's protocol over HTTP, exponential
 * histograms included.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpResource from "effect/observability/OtlpResource"
import type * as Scope from "effect/Scope"
import { type OtlpTemporality, toOtlp } from "./internal/otlp.ts"
import { type MetricSnapshot, Registry } from "./Registry.ts"
import { deltas } from "./Snapshots.ts"

export interface Options {
  /** Where the collector takes metrics; as a rule it ends in `/v1/metrics`. */
  readonly url: string
  /** Sent with each request, such as an API key. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** What the process is. */
  readonly resource?:
    | {
        readonly serviceName?: string | undefined
        readonly serviceVersion?: string | undefined
        readonly attributes?: Record<string, unknown> | undefined
      }
    | undefined
  /** Default 60 seconds. */
  readonly exportInterval?: Duration.Input | undefined
  /** How long the last push may take when the scope closes. Default 3 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** Whether each push tells everything, or what came on top. Default `"cumulative"`. */
  readonly temporality?: OtlpTemporality | undefined
  /** Default `"none"`. */
  readonly compression?: "gzip" | "none" | undefined
}

/**
 * Pushes a registry through Effect's OTLP exporter until the scope closes, and once more then. Failed pushes are retried; a
 * collector that is away is left alone for a minute.
 *
 * The body is JSON, since Effect's protobuf serialisation has no exponential histograms.
 */
export const make = (
  options: Options
): Effect.Effect<void, never, Registry | HttpClient.HttpClient | OtlpExporter.Flusher | Scope.Scope> =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const clock = yield* Clock.Clock
    const { compression, headers, temporality = "cumulative", url } = options
    const resource = OtlpResource.make(options.resource ?? {})
    const delta = deltas(registry)
    let since = clock.currentTimeMillisUnsafe()
    const read = (): ReadonlyArray<MetricSnapshot> =>
      temporality === "delta" ? Effect.runSync(delta) : registry.snapshotUnsafe()
    yield* OtlpExporter.make({
      url,
      headers,
      label: "SluiceMetrics",
      exportInterval: options.exportInterval ?? "60 seconds",
      shutdownTimeout: options.shutdownTimeout ?? "3 seconds",
      maxBatchSize: "disabled",
      exportEmpty: true,
      ...(compression === undefined ? undefined : { compression }),
      body: () => {
        const now = clock.currentTimeMillisUnsafe()
        const data = toOtlp(read(), { resource, temporality, sinceMillis: since, nowMillis: now })
        if (temporality === "delta") since = now
        return [HttpBody.text(JSON.stringify(data), "application/json"), Effect.void]
      }
    })
  })

/** {@link make} for as long as the layer lives. */
export const layer = (options: Options): Layer.Layer<never, never, Registry | HttpClient.HttpClient> =>
  Layer.effectDiscard(make(options)).pipe(Layer.provide(OtlpExporter.layerFlusher))
