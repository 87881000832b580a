/**
 * Who is let in, and who is told to come back: a rate for each client, and so many
 * requests at once of each class.
 *
 * @module
 */
import { KeyedRateLimiter, type RateLimiter, RateLimitHeaders } from "@sluice/rate-limiter"
import { Bulkhead } from "@sluice/semaphore"
import type * as Duration from "effect/Duration"
import * as DurationModule from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as ClientKey from "./ClientKey.ts"
import * as Problem from "./Problem.ts"

/** How much of a class runs at once, and how much waits. */
export interface ClassOptions {
  /** Requests at once. */
  readonly permits: number
  /** Requests that wait. Default 0: what cannot run at once is refused. */
  readonly maxWaiting?: number | undefined
  /** Longest wait. Default: as long as it takes. */
  readonly maxWait?: Duration.Input | undefined
}

export interface RateLimitOptions extends RateLimiter.Options {
  /** Clients of whom state is kept. Default 100,000. */
  readonly maxClients?: number | undefined
}

export interface Options<Class extends string> {
  /** The classes of requests, such as `high`, `medium` and `controlled`. */
  readonly classes: Readonly<Record<Class, ClassOptions>>
  /** What each client may ask. Default: no limit. */
  readonly rateLimit?: RateLimitOptions | undefined
  /** Who a client is. */
  readonly client?: ClientKey.Options | undefined
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

export interface Stats<Class extends string> {
  readonly isDraining: boolean
  readonly classes: Readonly<Record<Class, ClassStats>>
  /** Requests refused by the rate limit. */
  readonly limited: number
  /** Requests refused while draining. */
  readonly turnedAway: number
  /** Requests that were let in and have no response yet. */
  readonly active: number
}

/**
 * What stands before the handlers of a server.
 *
 * **Details**
 *
 * In this order: while the server drains, 503; a client beyond its rate, 429; a class without room, 503. Refusals are problem
 * details with a `detail` and `Retry-After`, and every response of a client with a rate has its `RateLimit` fields. A
 * refused request costs no permit, and one that waits for room has paid its rate. What is never shed (liveness) is not put
 * behind it.
 */
export interface Admission<Class extends string> {
  /** Lets a handler of a class run, or answers in its place. */
  admit(
    name: Class
  ): <E, R>(
    handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>
  /** Takes no more requests, and waits until those that were let in have their responses. */
  readonly drain: Effect.Effect<void>
  readonly stats: Effect.Effect<Stats<Class>>
  /** The same, without an effect. */
  statsUnsafe(): Stats<Class>
}

const factsOf = (request: HttpServerRequest.HttpServerRequest): ClientKey.RequestFacts => ({
  remoteAddress: Option.getOrUndefined(request.remoteAddress),
  headers: request.headers
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
    const { classes, rateLimit } = options
    const retryAfter = DurationModule.fromInputUnsafe(options.retryAfter ?? "1 second")
    const keyOf = ClientKey.make(options.client)
    const limiter =
      rateLimit === undefined
        ? undefined
        : yield* KeyedRateLimiter.make({ ...rateLimit, maxKeys: rateLimit.maxClients ?? 100_000 })
    const bulkheads = new Map<string, Bulkhead.Bulkhead>()
    for (const [name, { maxWait, maxWaiting = 0, permits }] of Object.entries<ClassOptions>(classes)) {
      bulkheads.set(name, yield* Bulkhead.make({ permits, maxWaiting, maxWait }))
    }
    let isDraining = false
    let limited = 0
    let turnedAway = 0
    let active = 0
    const idle: Array<() => void> = []

    const leave = Effect.sync(() => {
      if (--active === 0) for (const tell of idle.splice(0)) tell()
    })
    const full = Problem.response({
      status: 503,
      title: "Service Unavailable",
      detail: "The server is busy. Please try again later.",
      retryAfter
    })
    const draining = Problem.response({
      status: 503,
      title: "Service Unavailable",
      detail: "The server is about to restart. Please try again.",
      retryAfter,
      headers: { connection: "close" }
    })
    const tooMany = (fields: Readonly<Record<string, string>>): HttpServerResponse.HttpServerResponse =>
      Problem.response({
        status: 429,
        title: "Too Many Requests",
        detail: "Too many requests. Please try again later.",
        headers: fields
      })

    const admit =
      (bulkhead: Bulkhead.Bulkhead) =>
      <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) => {
        // The handler's own failures are none of the bulkhead's.
        const inClass = bulkhead.withPermit(Effect.exit(handler)).pipe(
          Effect.catch(() => Effect.succeed(Exit.succeed(full))),
          Effect.flatten
        )
        const counted = Effect.suspend(() => {
          active++
          return Effect.ensuring(inClass, leave)
        })
        return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          if (isDraining) {
            turnedAway++
            return Effect.succeed(draining)
          }
          if (limiter === undefined || rateLimit === undefined) return counted
          return Effect.flatMap(limiter.tryTake(keyOf(factsOf(request))), (decision) => {
            const fields = RateLimitHeaders.write(RateLimitHeaders.fromDecision("default", rateLimit, decision))
            if (decision.allowed) return Effect.map(counted, HttpServerResponse.setHeaders(fields))
            limited++
            return Effect.succeed(tooMany(fields))
          })
        })
      }

    const statsUnsafe = (): Stats<Class> => ({
      isDraining,
      classes: Object.fromEntries(
        Array.from(bulkheads, ([name, bulkhead]) => [name, bulkhead.statsUnsafe()])
      ) as Record<Class, ClassStats>,
      limited,
      turnedAway,
      active
    })
    return {
      admit: (name) => {
        const bulkhead = bulkheads.get(name)
        if (bulkhead === undefined) {
          throw new RangeError(`Cannot admit to class ${name}: the classes are ${[...bulkheads.keys()].join(", ")}`)
        }
        return admit(bulkhead)
      },
      drain: Effect.callback<void>((resume) => {
        isDraining = true
        if (active === 0) resume(Effect.void)
        else idle.push(() => resume(Effect.void))
      }),
      stats: Effect.sync(statsUnsafe),
      statsUnsafe
    }
  })
