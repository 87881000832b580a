/**
 * One page that shows a server while it works: every resource, limiter, pool and
 * queue, latency, errors and workers, with the last minutes of each.
 *
 * @module
 */
import type { Registry } from "@sluice/metrics"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Policy } from "./Admission.ts"
import * as Health from "./Health.ts"
import { script, style, template } from "./internal/dashboardPage.ts"
import { makeSampler, type Sample, type Source } from "./internal/sampling.ts"
import * as Problem from "./Problem.ts"

export type { Quantiles, Sample, Source } from "./internal/sampling.ts"

export interface Options {
  /** What stands at the top of the page. Default `Server`. */
  readonly title?: string | undefined
  /** The server's health, with its resources. */
  readonly health?: Health.Health | undefined
  /** The snapshots of all workers, where there are several. Default: that of `health` alone. */
  readonly workers?: Effect.Effect<ReadonlyArray<Health.Snapshot>> | undefined
  /** Metrics: counters are shown as rates, histograms as quantiles. Those of an `Admission` make the overview. */
  readonly registry?: Registry.Registry | undefined
  /** What else tells figures of itself, by the name to show: limiters, pools, queues, listeners. */
  readonly sources?: Readonly<Record<string, Source>> | undefined
  /** Who may see it; the same that guards the metrics, see `Guard`. Default: everybody. */
  readonly guard?: Policy | undefined
  /** How often it is sampled. Default 1 second. */
  readonly interval?: Duration.Input | undefined
  /** How far back it remembers. Default 5 minutes. */
  readonly history?: Duration.Input | undefined
  /** Pages that are live at once; further ones are refused with 503 and try again. Default 16. */
  readonly maxClients?: number | undefined
  /** Series of each kind that are shown. Default 200. */
  readonly maxSeries?: number | undefined
}

/** What the dashboard itself is doing right now. */
export interface Stats {
  /** Pages that are live. */
  readonly clients: number
  readonly maxClients: number
  /** Samples that are kept. */
  readonly samples: number
}

type Handler<R> = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest | R>

/** The handlers of a dashboard, all behind its guard. */
export interface Dashboard {
  /** The page. It asks for `events` beside itself: at `/dashboard/events` if it is at `/dashboard`. */
  readonly page: Handler<never>
  /** The history and then each sample, as server-sent events. Ends when the server drains. */
  readonly events: Handler<Scope.Scope>
  /** The history as JSON: an array of {@link Sample}. */
  readonly samples: Handler<never>
  /** What the dashboard itself is doing right now. */
  statsUnsafe(): Stats
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)

const encoder = new TextEncoder()

const event = (name: string, data: string): Uint8Array => encoder.encode(`event: ${name}\ndata: ${data}\n\n`)

const count = (name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new RangeError(`Cannot make a dashboard with ${name} ${value}: a whole number, 1 or more, is needed`)
}

/**
 * Makes a dashboard, which samples until its scope closes. Dies with a `RangeError` if an option is out of range.
 *
 * **Details**
 *
 * The page is one file with nothing from elsewhere, and its policy lets nothing else in; labels and names are shown as the
 * text that they are. Each sample is made once, whoever watches; a client that is slow to read misses samples, not the
 * server memory. Memory is bounded by `history`, `maxSeries` and `maxClients`. A live page is not counted as work:
 * admission does not know it, and a drain ends it.
 */
export const make = (options: Options = {}): Effect.Effect<Dashboard, never, Scope.Scope> =>
  Effect.gen(function* () {
    const maxClients = count("maxClients", options.maxClients ?? 16)
    const maxSeries = count("maxSeries", options.maxSeries ?? 200)
    const interval = Duration.fromInputUnsafe(options.interval ?? "1 second")
    const capacity = count(
      "a history, counted in intervals, of",
      Math.floor(Duration.toMillis(options.history ?? "5 minutes") / Duration.toMillis(interval))
    )
    const guard: Policy = options.guard ?? ((handler) => handler)
    const title = escaped(options.title ?? "Server")
    const sampler = makeSampler({
      health: options.health,
      workers: options.workers,
      registry: options.registry,
      sources: options.sources ?? {},
      mergeResources: Health.mergeResources,
      aggregate: Health.aggregate,
      maxSeries
    })
    const samples: Array<string> = []
    const live = yield* PubSub.sliding<{ readonly text: string; readonly isLast: boolean }>(4)
    yield* Effect.addFinalizer(() => PubSub.shutdown(live))
    let clients = 0

    const take = Effect.gen(function* () {
      const sample = yield* sampler(yield* Clock.currentTimeMillis)
      const text = JSON.stringify(sample)
      samples.push(text)
      if (samples.length > capacity) samples.shift()
      yield* PubSub.publish(live, { text, isLast: sample.status === "draining" })
    })
    // A source that fails is the program's own fault; the dashboard must not be what ends it.
    const taking = Effect.catchCause(take, (cause) => Effect.logWarning("A sample for the dashboard failed", cause))
    yield* Effect.forkScoped(Effect.repeat(taking, Schedule.spaced(interval)), { startImmediately: true })

    const full = Problem.response({
      status: 503,
      title: "Service Unavailable",
      detail: `${maxClients} pages are live already. Please close one, or try again later.`,
      retryAfter: Duration.seconds(5)
    })
    const history = (): string => `[${samples.join(",")}]`
    const events: Handler<Scope.Scope> = Effect.suspend(() => {
      if (clients >= maxClients) return Effect.succeed(full)
      const opened = Effect.acquireRelease(
        Effect.sync(() => {
          clients++
        }),
        () =>
          Effect.sync(() => {
            clients--
          })
      )
      return Effect.map(Effect.andThen(opened, PubSub.subscribe(live)), (subscription) =>
        HttpServerResponse.stream(
          Stream.concat(
            Stream.sync(() => event("history", history())),
            Stream.fromSubscription(subscription).pipe(
              Stream.takeUntil(({ isLast }) => isLast),
              Stream.map(({ text }) => event("sample", text))
            )
          ),
          {
            contentType: "text/event-stream",
            // Proxies that buffer would make of what is live what is late.
            headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
          }
        )
      )
    })
    const page = Effect.sync(() => {
      const nonce = crypto.randomUUID()
      const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
      const html = template
        .replaceAll("%title%", () => title)
        .replace("<style></style>", () => `<style nonce="${nonce}">${style}</style>`)
        .replace("<script></script>", () => `<script nonce="${nonce}">${script}</script>`)
      return HttpServerResponse.text(html, {
        contentType: "text/html; charset=utf-8",
        headers: { "content-security-policy": policy, "cache-control": "no-store", "referrer-policy": "no-referrer" }
      })
    })
    return {
      page: guard(page),
      events: guard(events),
      samples: guard(
        Effect.sync(() =>
          HttpServerResponse.text(history(), {
            contentType: "application/json",
            headers: { "cache-control": "no-store" }
          })
        )
      ),
      statsUnsafe: () => ({ clients, maxClients, samples: samples.length })
    }
  })

/**
 * Adds a dashboard to a router: the page at `/dashboard`, its events and the history as JSON beneath it.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@sluice/semaphore"
 * import { Guard, Health } from "@sluice/server"
 * import { Dashboard } from "@sluice/server/dashboard"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const routes = Layer.unwrap(
 *   Effect.gen(function*() {
 *     const llm = yield* Semaphore.make(5)
 *     const health = yield* Health.make({ resources: { llm_semaphore: llm } })
 *     yield* health.ready
 *     return Dashboard.layer({ title: "Shop", health, guard: Guard.token("a-long-secret") })
 *   })
 * )
 *
 * const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
 * const ask = (headers: Record<string, string>) =>
 *   handler(new Request("http://localhost/dashboard/samples", { headers }))
 * console.log((await ask({})).status) // => 401
 * const [sample] = await (await ask({ authorization: "Bearer a-long-secret" })).json()
 * console.log(sample.status, sample.resources.llm_semaphore.capacity) // => healthy 5
 * await dispose()
 * ```
 */
export const layer = (
  options: Options & {
    /** Where the page is. Default `/dashboard`. */
    readonly path?: `/${string}` | undefined
  } = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  Layer.unwrap(
    Effect.map(make(options), ({ events, page, samples }) => {
      const path = options.path ?? "/dashboard"
      return Layer.mergeAll(
        HttpRouter.add("GET", path, page),
        HttpRouter.add("GET", `${path}/events`, events),
        HttpRouter.add("GET", `${path}/samples`, samples)
      )
    })
  )
