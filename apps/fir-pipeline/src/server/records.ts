// The reports: found, shown and finalised.
import { Clock, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Api, AuthenticatePayload, Caller } from "../Api.ts"
import * as Body from "../internal/body.ts"
import { sameKey } from "../internal/keys.ts"
import { citation, type Law } from "../law/Law.ts"
import * as Pdf from "../Pdf.ts"
import * as Problems from "../Problems.ts"
import type { Settings } from "../Settings.ts"
import { type Fir, Store } from "../Store.ts"
import { iso, noStore, requires } from "./answers.ts"

const ANSWER_LIMIT = 64 * 1024
const FIR_NUMBER = /^FIR-[0-9a-f]{8}-\d{14}$/
const SEARCH_WORDS = 10

const decodeAuthenticate = Body.decode(AuthenticatePayload)

const firResult = (fir: Fir) => ({
  fir_number: fir.firNumber,
  status: fir.status,
  created_at: iso(fir.createdAt),
  finalized_at: fir.finalizedAt === null ? null : iso(fir.finalizedAt),
  fir_content: fir.firContent
})

export const records = (settings: Settings, table: Law) =>
  HttpApiBuilder.group(
    Api,
    "records",
    Effect.fnUntraced(function* (handlers) {
      const store = yield* Store

      const findFir = Effect.fnUntraced(function* (number: string) {
        const fir = FIR_NUMBER.test(number) ? yield* noStore(store.fir(number)) : undefined
        if (fir === undefined)
          return yield* new Problems.NotFound({ detail: `There is no report ${number.slice(0, 100)}` })
        return fir
      })

      return handlers
        .handleRaw("authenticate", ({ request }) =>
          Effect.gen(function* () {
            const body = yield* Effect.flatMap(Body.fields(request, ["json"], ANSWER_LIMIT), decodeAuthenticate)
            yield* requires("head", "Finalising a report")
            if (settings.firAuthKey === undefined) {
              return yield* new Problems.Forbidden({ detail: "FIR_AUTH_KEY is not set, so no report can be finalised" })
            }
            if (!sameKey(body.auth_key, settings.firAuthKey)) {
              return yield* new Problems.Unauthorized({ detail: "The auth_key is not valid" })
            }
            const fir = yield* findFir(body.fir_number)
            const session = yield* noStore(store.session(fir.sessionId))
            if (session?.status !== "completed") {
              return yield* new Problems.ConflictProblem({ detail: "The report has not been approved yet" })
            }
            const { name } = yield* Caller
            const at = yield* Clock.currentTimeMillis
            yield* noStore(
              store.finalise(fir.firNumber, { step: "completed", action: "finalise", by: name, at, input: null })
            )
            return { success: true, message: "The report is final", fir_number: fir.firNumber }
          })
        )
        .handle("fir", ({ params }) => Effect.map(findFir(params.number), firResult))
        .handle("firContent", ({ params }) => Effect.map(findFir(params.number), firResult))
        .handleRaw("firPdf", ({ params }) =>
          Effect.gen(function* () {
            const fir = yield* findFir(params.number)
            const file = yield* Pdf.render(fir)
            return HttpServerResponse.uint8Array(file, {
              contentType: "application/pdf",
              headers: { "content-disposition": `inline; filename="${fir.firNumber}.pdf"` }
            })
          })
        )
        .handle("law", ({ params }) => {
          const offence = table.section(params.section)
          return offence === undefined
            ? Effect.fail(new Problems.NotFound({ detail: `The table has no section ${params.section.slice(0, 100)}` }))
            : Effect.succeed({ ...offence, citation: citation(offence) })
        })
        .handle("listFirs", ({ query }) =>
          Effect.gen(function* () {
            const limit = query.limit === undefined ? 20 : Number(query.limit)
            if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
              return yield* new Problems.Invalid({ detail: "limit is a whole number from 1 to 100" })
            }
            const before = query.cursor === undefined ? undefined : Number(query.cursor)
            if (before !== undefined && (!Number.isSafeInteger(before) || before < 1)) {
              return yield* new Problems.Invalid({ detail: "cursor is what next_cursor was" })
            }
            const words = (query.search ?? "").split(/\s+/).filter((word) => word !== "")
            if (words.length > SEARCH_WORDS) {
              return yield* new Problems.Invalid({ detail: `A search has ${SEARCH_WORDS} words at most` })
            }
            const { items, total } = yield* noStore(store.firs(before, limit + 1, words))
            const page = items.slice(0, limit)
            const more = items.length > limit
            return {
              items: page.map((fir) => ({
                fir_number: fir.firNumber,
                session_id: fir.sessionId,
                status: fir.status,
                created_at: iso(fir.createdAt),
                finalized_at: fir.finalizedAt === null ? null : iso(fir.finalizedAt)
              })),
              total_count: total,
              next_cursor: more ? String(page.at(-1)?.id) : null,
              has_more: more
            }
          })
        )
    })
  )
