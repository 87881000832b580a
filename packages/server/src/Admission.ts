/**
 * Who is let in, and who is told to come back: a rate for each client, so many
 * requests at once of each class, so many of all as the server can do, none whose
 * deadline has passed, and no body that is too large or too slow.
 *
 * @module
 */
import type { Registry } from "@sluice/metrics"
import { KeyedRateLimiter, type RateLimiter } from "@sluice/rate-limiter"
import type { AdaptiveLimit } from "@sluice/semaphore"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ClientKey from "./ClientKey.ts"
import { makeAnswers, makeRateFields } from "./internal/answers.ts"
import { makeDeadlines } from "./internal/deadlines.ts"
import { Gate } from "./internal/gate.ts"
import { makeLookUp } from "./internal/headers.ts"
import { checkPriority, Overload } from "./internal/overload.ts"
import { makeRequestIds } from "./internal/requestIds.ts"
import { exemptClass, makeTelemetry, observe } from "./internal/telemetry.ts"
import { type Core, type Rate, type Route, visiting } from "./internal/visit.ts"

/** How much of a class runs at once, how much waits, and how long. */
export interface ClassOptions {
  /** Requests at once, 0 for a class that is closed. A response that is a stream counts until its last byte is out. */
  readonly permits: number
  /** Requests that wait. Default 0: what cannot run at once is refused. */
  readonly maxWaiting?: number | undefined
  /** Longest wait. Default: as long as it takes. */
  readonly maxWait?: Duration.Input | undefined
  /** How urgent it is, where the server cannot do all: 0 is the most. Default 0. At most 15. */
  readonly priority?: number | undefined
  /** Longest time from arrival to response, waiting included; the handler is interrupted then. Default: none. */
  readonly timeout?: Duration.Input | undefined
  /** Bytes of the largest body. Default that of the admission. */
  readonly maxBodySize?: number | undefined
}

export interface RateLimitOptions extends RateLimiter.Options {
  /** Clients of whom state is kept. Default 100,000. */
  readonly maxClients?: number | undefined
  /**
   * Who decides, where that is not this process alone: what all workers share, or all machines, such as the limiter of
   * `@sluice/redis`. It must hold to the limit and interval that stand beside it, which clients are told.
   */
  readonly limiter?: ClientLimiter | undefined
}

/** Decides whether a client may send one more request now. */
export interface ClientLimiter {
  tryTake(client: string): Effect.Effect<RateLimiter.Decision>
}

/** The limit of all classes together, which follows what the server can do. */
export interface AdaptiveOptions {
  readonly algorithm: AdaptiveLimit.Algorithm
  /** Requests that wait when the limit is reached, over all classes. Default 0. */
  readonly maxWaiting?: number | undefined
  /** Longest wait. Default: as long as it takes. */
  readonly maxWait?: Duration.Input | undefined
  /** How long requests are gathered before the limit is moved. Default 1 second. */
  readonly window?: Duration.Input | undefined
  /** Fewest requests from which the limit is moved. Default 10. */
  readonly minSamples?: number | undefined
  /** How many later and more urgent requests may overtake one that waits, for each step of priority. Default 16. */
  readonly ageing?: number | undefined
  /** Which responses are signs of overload, besides a deadline that passed. Default those with status 503 and 504. */
  readonly isDrop?: ((response: HttpServerResponse.HttpServerResponse) => boolean) | undefined
}

export interface BodyOptions {
  /** Bytes of the largest body. Default 1 MiB. */
  readonly maxSize?: number | undefined
  /** How long a body may take from when the handler asks for it. Default 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}

export interface RequestIdOptions {
  /** Of request and response, in lower case. Default `x-request-id`. */
  readonly header?: string | undefined
  /** Whether the id that came with a request is kept, where it is one. Default true. */
  readonly accept?: boolean | undefined
}

export interface DeadlineOptions {
  /** The header with the time, in lower case, beside `grpc-timeout`. Default `x-request-deadline`. */
  readonly header?: string | undefined
}

export interface Options<Class extends string> {
  /** The classes of requests, such as `high`, `medium` and `controlled`. */
  readonly classes: Readonly<Record<Class, ClassOptions>>
  /** What each client may ask. Default: no limit. */
  readonly rateLimit?: RateLimitOptions | undefined
  /** Who a client is. */
  readonly client?: ClientKey.Options | undefined
  /** A limit over all classes, learned from latency. Default none. */
  readonly adaptive?: AdaptiveOptions | undefined
  readonly body?: BodyOptions | undefined
  /** Default: deadlines are taken from requests; `false` ignores them. */
  readonly deadline?: DeadlineOptions | false | undefined
  /** Default: each request has an id; `false` gives none. */
  readonly requestId?: RequestIdOptions | false | undefined
  /** Where requests are counted and timed. Default nowhere. */
  readonly registry?: Registry.Registry | undefined
  /** When a request that was refused for want of room should come back. Default 1 second. */
  readonly retryAfter?: Duration.Input | undefined
}

/** What one class is doing right now. */
export interface ClassStats {
  readonly capacity: number
  readonly held: number
  readonly available: number
  readonly waiting: number
  readonly admitted: number
  readonly rejected: number
}

/** The limit over all classes right now; `rejected` are those shed, `dropped` the signs of overload that it has seen. */
export interface AdaptiveStats extends ClassStats {
  readonly dropped: number
}

export interface Stats<Class extends string> {
  readonly isDraining: boolean
  readonly classes: Readonly<Record<Class, ClassStats>>
  readonly adaptive: AdaptiveStats | undefined
  /** Requests refused by the rate limit. */
  readonly limited: number
  /** Requests refused while draining. */
  readonly turnedAway: number
  /** Requests that were not answered before their deadline. */
  readonly late: number
  /** Bodies that were too large. */
  readonly oversized: number
  /** Bodies that did not come in time. */
  readonly slow: number
  /** Requests that were let in and have no response yet, or one that still streams. */
  readonly active: number
}

/** The id of the request that a fiber works on; unset outside of one. */
export const RequestId: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "@sluice/server/Admission/RequestId",
  { defaultValue: () => undefined }
)

/** A function from a handler to a handler. */
export type Policy = <E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>

/**
 * What stands before the handlers of a server.
 *
 * **Details**
 *
 * In this order: while the server drains, 503; a client beyond its rate, 429; a body that is announced as too large, 413; a
 * class without room, 503; a server that can do no more, 503, the least urgent first; a deadline that passes at any point,
 * 503, with the handler interrupted; a body that grows too large or comes too slowly, 413 or 408. Refusals are problem
 * details with a `detail`, those that may be tried again with `Retry-After`, and every response has its request's id and,
 * where clients have a rate, the `RateLimit` fields. A refused request costs no permit, and one that waits for room has
 * paid its rate.
 *
 * A request that finds room does not suspend, and what decides over it costs O(1); headers are read only by what needs
 * them. A handler that is a response already (`Effect.succeed`) is answered without an effect of the admission's own.
 *
 * **Gotchas**
 *
 * The bounds of the body hold for whatever reads it through the request but `multipart` in a body of unannounced size,
 * which has bounds of its own (`Multipart.MaxFileSize`). Timeouts for the head of a request are the listener's: see
 * `Listener`.
 */
export interface Admission<Class extends string> {
  /** Lets a handler of a class run, or answers in its place. */
  admit(name: Class): Policy
  /** Lets a handler run whatever is going on: for liveness, which is never shed. It still has its id and its count. */
  readonly exempt: Policy
  /**
   * The same for all routes at once, as a global middleware of `HttpRouter`: tells the class of a request, or `undefined`
   * for one that is exempt.
   */
  middleware(classOf: (request: HttpServerRequest.HttpServerRequest) => Class | undefined): Policy
  /** Takes no more requests, and waits until those that were let in have their responses, streams to their end. */
  readonly drain: Effect.Effect<void>
  readonly stats: Effect.Effect<Stats<Class>>
  /** The same, without an effect. */
  statsUnsafe(): Stats<Class>
  /** What is scarce here, for `Health` and the dashboard: each class, and `adaptive` where there is such a limit. */
  readonly resources: Readonly<Record<string, { statsUnsafe(): ClassStats }>>
}

const mebibyte = 2 ** 20

const checkSize = (name: string, size: number): number => {
  if (Number.isSafeInteger(size) && size >= 0) return size
  throw new RangeError(`Cannot make an admission with ${name} ${size}: a whole number of bytes, 0 or more, is needed`)
}

const rateOf = (options: RateLimitOptions): Rate => {
  const write = makeRateFields(options)
  const { limiter } = options
  if (limiter !== undefined) return { decideUnsafe: undefined, decide: (client) => limiter.tryTake(client), write }
  const local = KeyedRateLimiter.makeUnsafe({ ...options, maxKeys: options.maxClients ?? 100_000 })
  return { decideUnsafe: (nowMillis, client) => local.tryTakeUnsafe(nowMillis, client), decide: local.tryTake, write }
}

const overloadOf = (options: AdaptiveOptions, priorities: number): Effect.Effect<Overload> =>
  Overload.make({
    algorithm: options.algorithm,
    maxWaiting: options.maxWaiting ?? 0,
    maxWait: options.maxWait === undefined ? undefined : Duration.fromInputUnsafe(options.maxWait),
    window: options.window,
    minSamples: options.minSamples,
    ageing: options.ageing,
    isDrop: options.isDrop ?? (({ status }) => status === 503 || status === 504),
    priorities
  })

/**
 * Makes an admission. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { Admission } from "@sluice/server"
 * import { Effect } from "effect"
 * import { HttpServerRequest, HttpServerResponse } from "effect/http"
 *
 * const program = Effect.gen(function*() {
 *   const admission = yield* Admission.make({
 *     classes: { high: { permits: 100 } },
 *     rateLimit: { limit: 1, interval: "1 minute" }
 *   })
 *   const handler = admission.admit("high")(Effect.succeed(HttpServerResponse.text("hello")))
 *   const statuses = yield* Effect.forEach([1, 2], () => Effect.map(handler, ({ status }) => status))
 *   console.log(statuses.join(" ")) // => 200 429
 * })
 *
 * const request = HttpServerRequest.fromWeb(new Request("http://localhost/"))
 * await Effect.runPromise(Effect.provideService(program, HttpServerRequest.HttpServerRequest, request))
 * ```
 */
export const make = <const Class extends string>(options: Options<Class>): Effect.Effect<Admission<Class>> =>
  Effect.gen(function* () {
    const { adaptive, body = {}, deadline = {}, rateLimit, registry, requestId = {} } = options
    const classes = Object.entries<ClassOptions>(options.classes)
    const priorities = 1 + Math.max(0, ...classes.map(([name, { priority = 0 }]) => checkPriority(name, priority)))
    const deadlineHeader = deadline === false ? undefined : (deadline.header ?? "x-request-deadline").toLowerCase()
    const idHeader = ((requestId === false ? undefined : requestId.header) ?? "x-request-id").toLowerCase()
    const acceptsIds = requestId !== false && (requestId.accept ?? true)
    const core: Core = {
      answers: makeAnswers(Duration.fromInputUnsafe(options.retryAfter ?? "1 second")),
      keyOf: ClientKey.make(options.client),
      rate: rateLimit === undefined ? undefined : rateOf(rateLimit),
      ids: requestId === false ? undefined : makeRequestIds(),
      idHeader,
      idReference: RequestId,
      acceptsIds,
      lookUp: makeLookUp([
        ...(acceptsIds ? [idHeader] : []),
        ...(deadlineHeader === undefined ? [] : [deadlineHeader, "grpc-timeout"])
      ]),
      overload: adaptive === undefined ? undefined : yield* overloadOf(adaptive, priorities),
      isDraining: false,
      active: 0,
      limited: 0,
      turnedAway: 0,
      late: 0,
      oversized: 0,
      slow: 0,
      onIdle: []
    }
    const telemetry =
      registry === undefined
        ? undefined
        : makeTelemetry(
            registry,
            classes.map(([name]) => name)
          )
    const maxSize = checkSize("a maxSize of the body of", body.maxSize ?? mebibyte)
    const timeoutMillis = Duration.toMillis(body.timeout ?? "30 seconds")
    const routes = new Map<string, Route>()
    for (const [name, { maxBodySize, maxWait, maxWaiting = 0, permits, priority = 0, timeout }] of classes) {
      routes.set(name, {
        gate: new Gate({
          permits,
          maxWaiting,
          maxWait: maxWait === undefined ? undefined : Duration.fromInputUnsafe(maxWait)
        }),
        priority,
        body: { maxSize: checkSize("maxBodySize", maxBodySize ?? maxSize), timeoutMillis },
        deadlines: makeDeadlines(deadlineHeader, timeout),
        telemetry: telemetry?.get(name)
      })
    }

    const admit = (name: string): Policy => {
      const route = routes.get(name)
      if (route === undefined) {
        throw new RangeError(`Cannot admit to class ${name}: the classes are ${[...routes.keys()].join(", ")}`)
      }
      return (handler) => visiting(core, route, route.telemetry, handler)
    }
    const exempt: Policy = (handler) => visiting(core, undefined, telemetry?.get(exemptClass), handler)
    const statsUnsafe = (): Stats<Class> => ({
      isDraining: core.isDraining,
      classes: Object.fromEntries(Array.from(routes, ([name, { gate }]) => [name, gate.statsUnsafe()])) as Record<
        Class,
        ClassStats
      >,
      adaptive: core.overload?.statsUnsafe(),
      limited: core.limited,
      turnedAway: core.turnedAway,
      late: core.late,
      oversized: core.oversized,
      slow: core.slow,
      active: core.active
    })
    const resources = Object.fromEntries([
      ...Array.from(routes, ([name, { gate }]) => [name, gate] as const),
      ...(core.overload === undefined ? [] : [["adaptive", core.overload] as const])
    ])
    if (registry !== undefined) observe(registry, resources, statsUnsafe)
    return {
      admit,
      exempt,
      middleware: (classOf) => (handler) => {
        const inClass = new Map(Array.from(routes.keys(), (name) => [name, admit(name)(handler)] as const))
        const outside = exempt(handler)
        return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const name = classOf(request)
          return Effect.interruptible((name === undefined ? undefined : inClass.get(name)) ?? outside)
        })
      },
      drain: Effect.callback<void>((resume) => {
        core.isDraining = true
        if (core.active === 0) resume(Effect.void)
        else core.onIdle.push(() => resume(Effect.void))
      }),
      stats: Effect.sync(statsUnsafe),
      statsUnsafe,
      resources
    }
  })
