/**
 * Credentials a provider: asks the registries, finds what their answers mean,
 * decides, and keeps the result with what was done.
 *
 * @module
 */
import { randomUUID } from "node:crypto"
import { Clock, Context, Data, Effect, Layer } from "effect"
import * as Documents from "./Documents.ts"
import { CHECKS, type Check, decide, type Finding } from "./Outcome.ts"
import type { Provider } from "./Provider.ts"
import { type Entry, type ItemOf, type Result, Store, type StoreError } from "./Store.ts"
import { Telemetry } from "./Telemetry.ts"
import { assess, unavailable } from "./workflow/assess.ts"
import { Registries } from "./workflow/Registries.ts"

export class ProviderNotFound extends Data.TaggedError("ProviderNotFound")<{ readonly providerId: string }> {
  override get message(): string {
    return `There is no provider ${this.providerId.slice(0, 100)}`
  }
}

/** The key was used before, for something else. */
export class KeyInUse extends Data.TaggedError("KeyInUse")<{ readonly detail: string }> {
  override get message(): string {
    return this.detail
  }
}

export interface Request {
  readonly providerId: string
  readonly actor: string
  /** The item of a batch that the result is for. */
  readonly item?: ItemOf | undefined
  /** A request that is repeated with its key gets the first answer. */
  readonly idempotencyKey?: string | undefined
}

export interface CredentialingApi {
  /** The result; `undefined` for an item that has one already. */
  credential(request: Request): Effect.Effect<Result | undefined, ProviderNotFound | KeyInUse | StoreError>
}

export const Credentialing: Context.Service<CredentialingApi, CredentialingApi> =
  Context.Service<CredentialingApi>("credentialing/Credentialing")

/** What is noted of a result: each check, and what it came to. */
const entriesOf = (result: Result): ReadonlyArray<Entry> => {
  const common = {
    at: result.finished_at,
    actor: result.requested_by,
    provider_id: result.provider_id,
    batch_id: result.batch_id,
    result_id: result.result_id
  }
  return [
    ...result.findings.map(({ check, reasons, status }) => ({
      ...common,
      action: `check_${status}`,
      detail: [check, ...reasons].join(": ")
    })),
    { ...common, action: "credentialed", detail: `${result.decision}, risk ${result.risk_score}` }
  ]
}

export const layer = Layer.effect(
  Credentialing,
  Effect.gen(function* () {
    const store = yield* Store
    const registries = yield* Registries
    const documents = yield* Documents.Documents
    const telemetry = yield* Telemetry

    const look = <C extends Check>(check: C, provider: Provider): Effect.Effect<Finding> =>
      registries.look(check, provider).pipe(
        Effect.flatMap((record) => Effect.map(Clock.currentTimeMillis, (now) => assess(check, provider, record, now))),
        Effect.catchTag("RegistryUnavailable", ({ message }) =>
          Effect.as(Effect.logWarning(message), unavailable(check, message))
        )
      )

    const answered = (key: string | undefined, providerId: string) =>
      key === undefined
        ? Effect.succeed(undefined)
        : Effect.flatMap(store.resultByKey(key), (known) =>
            known === undefined || known.provider_id === providerId
              ? Effect.succeed(known)
              : Effect.fail(new KeyInUse({ detail: `The key was used for ${known.provider_id}` }))
          )

    const make = Effect.fnUntraced(function* (request: Request, provider: Provider) {
      const startedAt = yield* Clock.currentTimeMillis
      const findings = yield* Effect.forEach(CHECKS, (check) => look(check, provider), { concurrency: "unbounded" })
      const { decision, riskScore } = decide(findings)
      const finishedAt = yield* Clock.currentTimeMillis
      const result: Result = {
        result_id: randomUUID(),
        provider_id: provider.provider_id,
        decision,
        risk_score: riskScore,
        findings,
        batch_id: request.item?.batchId ?? null,
        requested_by: request.actor,
        started_at: startedAt,
        finished_at: finishedAt
      }
      const isKept = yield* store.keep(result, entriesOf(result), request)
      if (!isKept) return yield* answered(request.idempotencyKey, request.providerId)
      yield* telemetry.decided(decision)
      yield* Effect.logInfo(`credentialed ${result.provider_id}: ${decision}, risk ${riskScore}`)
      // The result stands whether or not its document could be written: it is written when it is asked for.
      yield* Effect.ignore(documents.write(result, provider))
      return result
    })

    return {
      credential: Effect.fn("Credentialing.credential")(function* (request: Request) {
        const known = yield* answered(request.idempotencyKey, request.providerId)
        if (known !== undefined) return known
        const provider = yield* store.provider(request.providerId)
        if (provider === undefined) return yield* new ProviderNotFound({ providerId: request.providerId })
        return yield* telemetry.credentialing(make(request, provider))
      })
    }
  })
)
