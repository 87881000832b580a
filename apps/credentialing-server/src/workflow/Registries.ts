/**
 * The registries that credentialing asks, each behind policies of its own: one
 * that fails or is slow takes no room from the others.
 *
 * @module
 */
import { HttpPool } from "@sluice/http-pool"
import { Backoff, Deadline, Retry, RetryAfter, RetryBudget } from "@sluice/retry"
import { Bulkhead, type Semaphore } from "@sluice/semaphore"
import { Clock, Context, Data, type Duration, Effect, Layer, Option, Schema } from "effect"
import { HttpClient } from "effect/http"
import { CircuitBreaker } from "effect/persistence"
import * as Breaker from "../internal/breaker.ts"
import { CHECKS, type Check } from "../Outcome.ts"
import type { Provider } from "../Provider.ts"
import { pathOf } from "../registry-server/RegistryServer.ts"
import { EducationRecord, EmploymentRecord, LicenceRecord, type Records, SanctionsRecord } from "./records.ts"

/** A registry gave no answer. */
export class RegistryUnavailable extends Data.TaggedError("RegistryUnavailable")<{
  readonly check: Check
  readonly reason: string
  /** Whether the same question may be answered a moment later. */
  readonly passing: boolean
  /** How long the registry asks to be left alone. */
  readonly retryAfter?: Duration.Duration | undefined
}> {
  override get message(): string {
    return `The ${this.check.replace("_", " ")} registry gave no answer: ${this.reason}`
  }
}

export interface RegistryStats {
  readonly registry: Check
  readonly breaker: Breaker.BreakerState
  readonly places: Semaphore.Stats
  readonly attempts: number
  readonly retries: number
  readonly succeeded: number
  readonly failed: number
}

export interface RegistriesApi {
  /** What the registry of a check says of a provider: `null` where it knows nothing. */
  look<C extends Check>(check: C, provider: Provider): Effect.Effect<Records[C], RegistryUnavailable>
  readonly stats: Effect.Effect<ReadonlyArray<RegistryStats>>
  /** The places of each registry, for the report of health. */
  readonly places: Readonly<Record<Check, Bulkhead.Bulkhead>>
}

export const Registries: Context.Service<RegistriesApi, RegistriesApi> =
  Context.Service<RegistriesApi>("credentialing/Registries")

export interface Options {
  readonly url: string
  /** Questions to one registry at once. */
  readonly permits: number
  readonly attempts: number
  /** Longest time of one attempt. */
  readonly attemptTimeout: Duration.Input
  /** Longest time of a question with all its attempts. */
  readonly timeout: Duration.Input
  /** Failures in a row after which a registry is left to recover. */
  readonly breakerFailures: number
}

type Decoders = { readonly [C in Check]: (body: unknown) => Effect.Effect<Records[C], Schema.SchemaError> }
const decoders: Decoders = {
  licence: Schema.decodeUnknownEffect(LicenceRecord),
  sanctions: Schema.decodeUnknownEffect(SanctionsRecord),
  education: Schema.decodeUnknownEffect(EducationRecord),
  work_history: Schema.decodeUnknownEffect(EmploymentRecord)
}

const keyOf = (check: Check, provider: Provider): string =>
  check === "licence" ? provider.licence_number : provider.npi

export const layer = (options: Options) =>
  Layer.effect(
    Registries,
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const breaker = yield* Breaker.make(options.breakerFailures)

      const ask = Effect.fnUntraced(function* <C extends Check>(check: C, provider: Provider) {
        const response = yield* client.get(`${options.url}${pathOf(check, keyOf(check, provider))}`)
        if (response.status === 404) return null
        if (response.status === 200) return yield* Effect.flatMap(response.json, decoders[check])
        const now = yield* Clock.currentTimeMillis
        const retryAfter = RetryAfter.parse(response.headers["retry-after"] ?? "", now)
        return yield* new RegistryUnavailable({
          check,
          reason: `it answered with status ${response.status}`,
          passing: response.status === 429 || response.status >= 500,
          retryAfter: Option.getOrUndefined(retryAfter)
        })
      })

      const attempt = <C extends Check>(check: C, provider: Provider) =>
        Effect.scoped(ask(check, provider)).pipe(
          Effect.catchTags({
            HttpClientError: (error) =>
              Effect.fail(
                new RegistryUnavailable({
                  check,
                  reason: Option.match(HttpPool.poolError(error), {
                    onNone: () => error.message,
                    onSome: ({ message }) => message
                  }),
                  passing: true
                })
              ),
            SchemaError: () =>
              Effect.fail(new RegistryUnavailable({ check, reason: "its record has another form", passing: false }))
          }),
          Effect.timeoutOrElse({
            duration: options.attemptTimeout,
            orElse: () =>
              Effect.fail(new RegistryUnavailable({ check, reason: "it did not answer in time", passing: true }))
          })
        )

      const guarded = <A>(check: Check, call: Effect.Effect<A, RegistryUnavailable>) =>
        breaker.guard(check, call, {
          isFault: ({ passing }) => passing,
          resting: (retryAfter) =>
            new RegistryUnavailable({
              check,
              reason: "it keeps failing and is left to recover",
              passing: true,
              retryAfter
            })
        })

      const make = () => ({
        // Whoever credentials waits for a place as long as the question may take, and no longer.
        places: Bulkhead.makeUnsafe({ permits: options.permits, maxWaiting: 10_000 }),
        again: Retry.retry<RegistryUnavailable>({
          maxAttempts: options.attempts,
          backoff: Backoff.exponential({ base: "20 millis", cap: "1 second", jitter: "full" }),
          while: ({ passing }) => passing,
          retryAfter: ({ retryAfter }) => retryAfter,
          maxRetryAfter: "5 seconds",
          budget: RetryBudget.makeUnsafe()
        }),
        within: Deadline.within(options.timeout)
      })
      const policies = {
        licence: make(),
        sanctions: make(),
        education: make(),
        work_history: make()
      }

      return {
        look: Effect.fnUntraced(function* <C extends Check>(check: C, provider: Provider) {
          const { again, places, within } = policies[check]
          return yield* guarded(check, attempt(check, provider)).pipe(
            places.withPermit,
            Effect.catchTag(["@sluice/semaphore/BulkheadFull", "@sluice/semaphore/BulkheadTimeout"], ({ message }) =>
              Effect.fail(new RegistryUnavailable({ check, reason: message, passing: false }))
            ),
            again,
            within,
            Effect.catchTag("@sluice/retry/DeadlineExceeded", () =>
              Effect.fail(new RegistryUnavailable({ check, reason: "it did not answer in time", passing: true }))
            )
          )
        }),
        stats: Effect.forEach(CHECKS, (check) =>
          Effect.map(breaker.state(check), (state) => {
            const { attempts, failed, retries, succeeded } = policies[check].again.statsUnsafe()
            return {
              registry: check,
              breaker: state,
              places: policies[check].places.statsUnsafe(),
              attempts,
              retries,
              succeeded,
              failed: Object.values(failed).reduce((sum, count) => sum + count, 0)
            }
          })
        ),
        places: {
          licence: policies.licence.places,
          sanctions: policies.sanctions.places,
          education: policies.education.places,
          work_history: policies.work_history.places
        }
      }
    })
  ).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
