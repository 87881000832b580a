// What those who run the server look at.
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../Api.ts"
import { Breaker, SERVERS, type ServerName } from "../Breaker.ts"
import { Limits } from "../Limits.ts"
import { Models } from "../Models.ts"
import { ATTEMPTS } from "../models/calling.ts"
import { Pipeline } from "../Pipeline.ts"
import { RateLimit } from "../RateLimit.ts"
import type { Settings } from "../Settings.ts"
import { Store } from "../Store.ts"
import { Telemetry } from "../Telemetry.ts"
import { iso, noStore, requires } from "./answers.ts"

const HOUR = 60 * 60 * 1000

export const operations = (settings: Settings) =>
  HttpApiBuilder.group(
    Api,
    "operations",
    Effect.fnUntraced(function* (handlers) {
      const pipeline = yield* Pipeline
      const store = yield* Store
      const telemetry = yield* Telemetry
      const rateLimit = yield* RateLimit
      const breaker = yield* Breaker

      const ofServer = (server: ServerName) =>
        Effect.map(breaker.of(server).state, ({ retryAfterSeconds, state }) => ({
          breaker: state,
          retry_after: retryAfterSeconds,
          failures_to_open: settings.breakerFailures,
          open_seconds: settings.breakerOpenSeconds,
          attempts: ATTEMPTS
        }))
      const reliability = Effect.gen(function* () {
        return {
          model_server: yield* ofServer("model_server"),
          asr_ocr_server: yield* ofServer("asr_ocr_server"),
          timeouts: {
            inference_seconds: settings.inferenceTimeoutSeconds,
            clause_check_seconds: settings.clauseCheckTimeoutSeconds,
            asr_seconds: settings.models.asrTimeoutSeconds,
            ocr_seconds: settings.models.ocrTimeoutSeconds
          }
        }
      })

      return handlers
        .handle("metrics", () =>
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            const counts = yield* noStore(store.counts(now - HOUR))
            return {
              timestamp: iso(now),
              sessions: {
                recent_hour: counts.sessions.map(({ avgMillis, count, status }) => ({
                  status,
                  count,
                  avg_duration: Math.round(avgMillis) / 1000
                })),
                cache_size: pipeline.working()
              },
              firs: { recent_hour: counts.firs },
              rate_limiter: { active_clients: rateLimit.activeClients() }
            }
          })
        )
        .handle("reliability", () => reliability)
        .handle("resetBreaker", () =>
          Effect.gen(function* () {
            yield* requires("admin", "Asking again at once")
            for (const server of SERVERS) yield* breaker.of(server).reset
            return yield* reliability
          })
        )
        .handle("prometheus", () => telemetry.prometheus)
    })
  )

export const system = (settings: Settings) =>
  HttpApiBuilder.group(
    Api,
    "system",
    Effect.fnUntraced(function* (handlers) {
      const models = yield* Models
      const store = yield* Store
      const limits = yield* Limits
      const breaker = yield* Breaker
      return handlers
        .handle("live", () => Effect.succeed({ status: "alive" as const }))
        .handle("ready", () => Effect.as(noStore(store.ping), { status: "ready" as const }))
        .handle("health", () =>
          Effect.gen(function* () {
            const [model, asrOcr, database] = yield* Effect.all(
              [
                models.health,
                models.asrOcrHealth,
                Effect.match(store.ping, { onFailure: ({ message }) => message, onSuccess: () => "connected" })
              ],
              { concurrency: 3 }
            )
            const well = model.status === "healthy"
            const { modelCalls, reports } = limits.stats()
            return {
              status:
                database !== "connected" ? ("unhealthy" as const) : well ? ("healthy" as const) : ("degraded" as const),
              model_server: { ...model },
              asr_ocr_server: { ...asrOcr },
              database,
              concurrency: {
                max_concurrent_requests: settings.maxConcurrentRequests,
                max_concurrent_model_calls: settings.maxConcurrentModelCalls,
                http_pool_size: settings.httpPoolSize,
                requests: reports,
                model_calls: modelCalls
              },
              reliability: {
                model_breaker: (yield* breaker.of("model_server").state).state,
                asr_ocr_breaker: (yield* breaker.of("asr_ocr_server").state).state,
                model_attempts: ATTEMPTS,
                session_timeout_seconds: settings.sessionTimeoutSeconds
              }
            }
          })
        )
    })
  )
