/**
 * The bundled registry service: the boards of licences, the lists of exclusions,
 * the clearing house of degrees and the one of employments, of the generated
 * providers.
 *
 * It is slow and it fails, as such services do: how much of it, settings say.
 *
 * @module
 */
import { Clock, Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { random } from "../internal/random.ts"
import { CHECKS, type Check } from "../Outcome.ts"
import { generate, type Provider } from "../Provider.ts"
import { truthOf } from "./truth.ts"

export type LatencyProfile = "none" | "fast" | "realistic"

export interface Options {
  readonly providers: number
  readonly seed: number
  readonly latency: LatencyProfile
  /** Of a hundred requests, how many fail. */
  readonly faultPercent: number
}

/** Milliseconds of an answer, from and to. */
const SLOWNESS: Readonly<Record<LatencyProfile, readonly [number, number]>> = {
  none: [0, 0],
  fast: [2, 8],
  realistic: [20, 90]
}

/** How a request fails. A quarter of those that fail never get an answer. */
const FAULTS = ["unavailable", "broken", "reset", "stall"] as const
/** Longer than any caller waits. */
const STALL = "30 seconds"

const problem = (status: number, detail: string, headers: Readonly<Record<string, string>> = {}) =>
  HttpServerResponse.jsonUnsafe({ detail }, { status, headers })

/** Ends the connection of a request that gets no answer. */
const reset = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.suspend(() => {
    const { source } = request
    if (
      "socket" in source &&
      typeof source.socket === "object" &&
      source.socket !== null &&
      "destroy" in source.socket
    ) {
      const { socket } = source
      if (typeof socket.destroy === "function") socket.destroy()
    }
    return Effect.never
  })

export const pathOf = (check: Check, key: string): string => `/${check}/${encodeURIComponent(key)}`

/** The routes of the service. */
export const routes = (options: Options) =>
  Layer.unwrap(
    Effect.sync(() => {
      const byKey = new Map<string, readonly [Provider, number]>()
      for (let number = 1; number <= options.providers; number++) {
        const provider = generate(number, options.seed)
        byKey.set(provider.npi, [provider, number])
        byKey.set(provider.licence_number, [provider, number])
      }
      const draw = random(options.seed, -1)
      const [least, most] = SLOWNESS[options.latency]

      const ill = (request: HttpServerRequest.HttpServerRequest) => {
        switch (draw.oneOf(FAULTS)) {
          case "unavailable":
            return Effect.succeed(problem(503, "The registry is being updated", { "retry-after": "1" }))
          case "broken":
            return Effect.succeed(problem(500, "The registry failed"))
          case "reset":
            return reset(request)
          case "stall":
            return Effect.as(Effect.sleep(STALL), problem(500, "The registry failed"))
        }
      }

      const lookUp = (check: Check) =>
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const { key = "" } = yield* HttpRouter.params
          if (most > 0) yield* Effect.sleep(draw.whole(least, most))
          if (draw.fraction() * 100 < options.faultPercent) return yield* ill(request)
          const found = byKey.get(key)
          if (found === undefined) return problem(404, `The registry knows nothing of ${key.slice(0, 100)}`)
          const [provider, number] = found
          const record = truthOf(provider, number, options.seed, yield* Clock.currentTimeMillis)[check]
          return record === null
            ? problem(404, `The registry knows nothing of ${key.slice(0, 100)}`)
            : HttpServerResponse.jsonUnsafe(record)
        })

      return Layer.mergeAll(
        HttpRouter.addAll(CHECKS.map((check) => HttpRouter.route("GET", `/${check}/:key`, lookUp(check)))),
        HttpRouter.add(
          "GET",
          "/health",
          HttpServerResponse.jsonUnsafe({
            status: "healthy",
            providers: options.providers,
            latency: options.latency,
            fault_percent: options.faultPercent
          })
        )
      )
    })
  )
