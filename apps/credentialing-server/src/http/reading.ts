// The endpoints that read: providers, statistics, results, logs.
import { open } from "node:fs/promises"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Batches } from "../Batches.ts"
import { ProviderNotFound } from "../Credentialing.ts"
import { Documents, FileError } from "../Documents.ts"
import { type Class, Front } from "../Front.ts"
import { Limits } from "../Limits.ts"
import { DECISIONS } from "../Outcome.ts"
import type { Settings } from "../Settings.ts"
import { Store } from "../Store.ts"
import { Registries } from "../workflow/Registries.ts"
import * as Body from "./body.ts"
import { keyed } from "./guard.ts"
import { type Refusable, Refusal, refusing } from "./refusal.ts"
import * as Views from "./views.ts"

const ok = (body: unknown) => HttpServerResponse.jsonUnsafe(body)

const STATUSES = ["not_credentialed", ...DECISIONS] as const
const LAST = 1_000_000_000
/** Bytes from the end of the log in which its last lines are looked for. */
const TAIL = 256 * 1024

export const query = Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => {
  const at = url.indexOf("?")
  return new URLSearchParams(at === -1 ? "" : url.slice(at + 1))
})

export const param = (name: string) => Effect.map(HttpRouter.params, (params) => params[name] ?? "")

const paging = Effect.fnUntraced(function* (search: URLSearchParams) {
  const limit = yield* Body.number(search, "limit", { least: 1, most: 200, fallback: 50 })
  const offset = yield* Body.number(search, "offset", { least: 0, most: LAST, fallback: 0 })
  return { limit, offset }
})

const lastLines = async (path: string, count: number): Promise<ReadonlyArray<string>> => {
  const file = await open(path, "r")
  try {
    const { size } = await file.stat()
    const length = Math.min(size, TAIL)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    const lines = buffer.subarray(0, bytesRead).toString("utf8").split("\n").slice(0, -1)
    return lines.slice(length < size ? 1 : 0).slice(-count)
  } finally {
    await file.close()
  }
}

/** The endpoints, each in its class. */
export const routes = (settings: Settings) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const store = yield* Store
      const registries = yield* Registries
      const documents = yield* Documents
      const limits = yield* Limits
      const batches = yield* Batches
      const { admission } = yield* Front

      const get = <R>(
        of: Class,
        path: `/${string}`,
        handler: Effect.Effect<HttpServerResponse.HttpServerResponse, Refusable, R>
      ) => HttpRouter.add("GET", path, admission.admit(of)(refusing(keyed(settings.apiKey)(handler))))

      const known = Effect.fnUntraced(function* (id: string) {
        const provider = yield* store.provider(id)
        if (provider === undefined) return yield* new ProviderNotFound({ providerId: id })
        return provider
      })

      const newest = Effect.fnUntraced(function* (id: string) {
        const provider = yield* known(id)
        const { items } = yield* store.results({ providerId: id }, 0, 1)
        const [result] = items
        if (result === undefined) {
          return yield* new Refusal({ status: 404, detail: `${id} has no result yet` })
        }
        return { provider, result }
      })

      const providers = Effect.gen(function* () {
        const search = yield* query
        const { limit, offset } = yield* paging(search)
        const filter = {
          specialty: yield* Body.short(search, "specialty"),
          state: yield* Body.short(search, "state"),
          status: yield* Body.word(search, "status", STATUSES),
          search: yield* Body.short(search, "search")
        }
        const { items, ...rest } = Views.page(
          yield* store.providers(filter, offset, limit),
          offset,
          limit,
          Views.provider
        )
        return ok({ providers: items, ...rest })
      })

      const oneProvider = Effect.gen(function* () {
        const id = yield* param("provider_id")
        const provider = yield* known(id)
        const row = yield* store.providerRow(id)
        const { items } = yield* store.results({ providerId: id }, 0, 1)
        return ok({
          ...provider,
          status: row?.status ?? "not_credentialed",
          latest_result: items[0] === undefined ? null : Views.result(items[0])
        })
      })

      const summary = Effect.gen(function* () {
        const { averageMillis, batches: kept, byDecision, byStatus, providers: total, results } = yield* store.summary
        const figures = (counts: typeof byStatus) => Object.fromEntries(counts.map(({ count, name }) => [name, count]))
        return ok({
          providers: total,
          providers_by_status: figures(byStatus),
          results,
          results_by_decision: figures(byDecision),
          average_duration_ms: Math.round(averageMillis),
          batches: figures(kept),
          batches_running_here: batches.running()
        })
      })

      const results = Effect.gen(function* () {
        const search = yield* query
        const { limit, offset } = yield* paging(search)
        const decision = yield* Body.word(search, "decision", DECISIONS)
        const { items, ...rest } = Views.page(
          yield* store.results({ decision }, offset, limit),
          offset,
          limit,
          Views.result
        )
        return ok({ results: items, ...rest })
      })

      const resultsOf = Effect.gen(function* () {
        const id = yield* param("provider_id")
        const search = yield* query
        const { limit, offset } = yield* paging(search)
        yield* known(id)
        const { items, ...rest } = Views.page(
          yield* store.results({ providerId: id }, offset, limit),
          offset,
          limit,
          Views.result
        )
        return ok({ provider_id: id, results: items, ...rest })
      })

      const document = Effect.gen(function* () {
        const { provider, result } = yield* Effect.flatMap(param("provider_id"), newest)
        return HttpServerResponse.text(yield* documents.read(result, provider), {
          contentType: "text/markdown; charset=utf-8"
        })
      })

      const audit = (by: "all" | "provider" | "batch") =>
        Effect.gen(function* () {
          const id = by === "all" ? "" : yield* param("id")
          const search = yield* query
          const limit = yield* Body.number(search, "limit", { least: 1, most: 500, fallback: 100 })
          const before = yield* Body.number(search, "before", { least: 0, most: Number.MAX_SAFE_INTEGER, fallback: 0 })
          const filter = by === "provider" ? { providerId: id } : by === "batch" ? { batchId: id } : {}
          const entries = yield* store.audit(filter, before === 0 ? undefined : before, limit)
          const last = entries.at(-1)
          return ok({
            entries: entries.map(Views.entry),
            next_before: entries.length === limit && last !== undefined ? last.id : null
          })
        })

      const appLog = Effect.gen(function* () {
        const search = yield* query
        const count = yield* Body.number(search, "lines", { least: 1, most: 1000, fallback: 100 })
        const { logFile } = settings
        if (logFile === undefined) return yield* new Refusal({ status: 404, detail: "The server keeps no log file" })
        const lines = yield* limits.files.withPermit(
          Effect.tryPromise({
            try: () => lastLines(logFile, count),
            catch: (cause) => new FileError({ operation: "read the log", cause })
          })
        )
        return ok({ lines })
      })

      return Layer.mergeAll(
        get("high", "/providers", providers),
        get("high", "/providers/:provider_id", oneProvider),
        get("medium", "/stats", summary),
        get("medium", "/stats/summary", summary),
        get(
          "medium",
          "/stats/providers",
          Effect.gen(function* () {
            return ok({
              by_specialty: yield* store.providerCounts("specialty"),
              by_state: yield* store.providerCounts("state")
            })
          })
        ),
        get(
          "medium",
          "/stats/checks",
          Effect.map(store.findingCounts, (counts) => ok({ checks: counts }))
        ),
        get(
          "medium",
          "/stats/registries",
          Effect.map(registries.stats, (stats) => ok({ registries: stats }))
        ),
        get("medium", "/stats/requests", Effect.map(admission.stats, ok)),
        get("medium", "/results", results),
        get("medium", "/results/:provider_id", resultsOf),
        get("medium", "/results/:provider_id/document", document),
        get("medium", "/logs", audit("all")),
        get("medium", "/logs/audit", audit("all")),
        get("medium", "/logs/audit/:id", audit("provider")),
        get("medium", "/logs/batch/:id", audit("batch")),
        get("medium", "/logs/app", appLog)
      )
    })
  )
