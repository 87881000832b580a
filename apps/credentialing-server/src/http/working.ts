// The endpoints that work: credentialing of one and of many, and the chat.
import { Effect, Layer, Schema, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type BatchEvent, Batches } from "../Batches.ts"
import { Chat, type ChatEvent } from "../Chat.ts"
import { Credentialing } from "../Credentialing.ts"
import { Front } from "../Front.ts"
import { DECISIONS } from "../Outcome.ts"
import type { Settings } from "../Settings.ts"
import { type Batch, type Item, Store } from "../Store.ts"
import * as Body from "./body.ts"
import * as Events from "./events.ts"
import { Actor, keyed } from "./guard.ts"
import { param, query } from "./reading.ts"
import { type Refusable, Refusal, refusing } from "./refusal.ts"
import * as Views from "./views.ts"

const ID = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(100))

const ChatRequest = Schema.Struct({
  message: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(4000)),
  provider_id: Schema.optionalKey(ID),
  stream: Schema.optionalKey(Schema.Boolean)
})

/** How a batch stands, for who does not watch it. */
const report = (batch: Batch, items: ReadonlyArray<Item>) => ({
  ...Views.batch(batch),
  decisions: Object.fromEntries(
    DECISIONS.map((decision) => [decision, items.filter((item) => item.decision === decision).length])
  ),
  results: items.map(Views.item)
})

const place = (batch: Batch): Readonly<Record<string, string>> => ({
  location: `/batch-credential/${batch.batch_id}`,
  "x-batch-id": batch.batch_id
})

const told = (event: BatchEvent): Events.Told => {
  switch (event.type) {
    case "item": {
      const seq = event.item.seq ?? 0
      return {
        type: "item",
        id: String(seq),
        data: { ...Views.item(event.item), progress: { completed: seq, total: event.total } }
      }
    }
    case "completed":
    case "paused":
      return { type: event.type, data: Views.batch(event.batch) }
  }
}

const toldChat = (event: ChatEvent): Events.Told => {
  const { type, ...data } = event
  return { type, data }
}

/** The first event, from which a watcher knows where to come back to. */
const opened = (batch: Batch): Events.Told => ({ type: "batch", data: Views.batch(batch) })

const brokenOff: Events.Told = { type: "error", data: { detail: "The server cannot read the batch now: come back" } }

const idempotencyKey = Effect.gen(function* () {
  const key = (yield* HttpServerRequest.HttpServerRequest).headers["idempotency-key"]
  if (key !== undefined && (key.length === 0 || key.length > 200)) {
    return yield* new Refusal({ status: 422, detail: "An Idempotency-Key has 1 to 200 characters" })
  }
  return key
})

export const routes = (settings: Settings) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const store = yield* Store
      const batches = yield* Batches
      const chat = yield* Chat
      const credentialing = yield* Credentialing
      const { admission } = yield* Front
      const readBatch = Body.json(
        Schema.Struct({
          provider_ids: Schema.Array(ID).check(Schema.isMinLength(1), Schema.isMaxLength(settings.maxBatchSize))
        })
      )
      const readChat = Body.json(ChatRequest)

      const route = <R>(
        method: "GET" | "POST",
        path: `/${string}`,
        handler: Effect.Effect<HttpServerResponse.HttpServerResponse, Refusable, R>
      ) => HttpRouter.add(method, path, admission.admit("controlled")(refusing(keyed(settings.apiKey)(handler))))

      const credential = Effect.gen(function* () {
        const providerId = yield* param("provider_id")
        const result = yield* credentialing.credential({
          providerId,
          actor: yield* Actor,
          idempotencyKey: yield* idempotencyKey
        })
        if (result === undefined) {
          return yield* new Refusal({ status: 503, detail: "The same request is under way: send it again" })
        }
        return HttpServerResponse.jsonUnsafe(Views.result(result))
      })

      const whole = Effect.fnUntraced(function* (batchId: string) {
        const batch = yield* store.batch(batchId)
        if (batch === undefined) {
          return yield* new Refusal({ status: 404, detail: `There is no batch ${batchId.slice(0, 100)}` })
        }
        return batch
      })

      const watched = (batch: Batch, after: number, form: "sse" | "ndjson") =>
        Events.response(
          Stream.concat(
            Stream.succeed(opened(batch)),
            batches.watch(batch.batch_id, after).pipe(
              Stream.map(told),
              Stream.catch(() => Stream.succeed(brokenOff))
            )
          ),
          form,
          place(batch)
        )

      const credentialMany = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { provider_ids } = yield* readBatch(request)
        const batch = yield* batches.open({
          // Who is named twice is credentialed once.
          providerIds: [...new Set(provider_ids)],
          actor: yield* Actor,
          idempotencyKey: yield* idempotencyKey
        })
        if (/(^|,)\s*respond-async\s*(,|$)/i.test(request.headers["prefer"] ?? "")) {
          return HttpServerResponse.jsonUnsafe(Views.batch(batch), { status: 202, headers: place(batch) })
        }
        const form = Events.formOf(request.headers["accept"], "json")
        if (form !== "json") return watched(batch, 0, form)
        yield* Stream.runDrain(batches.watch(batch.batch_id, 0))
        const ended = yield* whole(batch.batch_id)
        return HttpServerResponse.jsonUnsafe(report(ended, yield* store.items(batch.batch_id)), {
          // What goes on after this server has ended is not done yet.
          status: ended.status === "completed" ? 200 : 202,
          headers: place(batch)
        })
      })

      const oneBatch = Effect.gen(function* () {
        const batch = yield* Effect.flatMap(param("batch_id"), whole)
        return HttpServerResponse.jsonUnsafe(report(batch, yield* store.items(batch.batch_id)))
      })

      const events = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const batch = yield* Effect.flatMap(param("batch_id"), whole)
        const last = request.headers["last-event-id"] ?? (yield* query).get("after") ?? "0"
        if (!/^\d{1,9}$/.test(last)) {
          return yield* new Refusal({ status: 422, detail: "Last-Event-ID is the id of an event of this batch" })
        }
        const form = Events.formOf(request.headers["accept"], "sse")
        return watched(batch, Number(last), form === "json" ? "ndjson" : form)
      })

      const listed = Effect.gen(function* () {
        const search = yield* query
        const limit = yield* Body.number(search, "limit", { least: 1, most: 200, fallback: 50 })
        const offset = yield* Body.number(search, "offset", { least: 0, most: 1_000_000_000, fallback: 0 })
        const { items, ...rest } = Views.page(yield* store.batches(offset, limit), offset, limit, Views.batch)
        return HttpServerResponse.jsonUnsafe({ batches: items, ...rest })
      })

      const talk = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { message, provider_id, stream } = yield* readChat(request)
        const answer = yield* chat.ask(provider_id === undefined ? message : `${message} (${provider_id})`)
        const form = stream === false ? "json" : Events.formOf(request.headers["accept"], "sse")
        if (form !== "json") return Events.response(Stream.map(answer, toldChat), form)
        const said = yield* Stream.runCollect(answer)
        const [start] = said.flatMap((event) => (event.type === "start" ? [event] : []))
        const broken = said.flatMap((event) => (event.type === "error" ? [event.detail] : []))
        return HttpServerResponse.jsonUnsafe({
          answer: said.map((event) => (event.type === "token" ? event.text : "")).join(""),
          source: start?.source,
          model: start?.model,
          note: start?.note,
          is_whole: broken.length === 0,
          ...(broken.length === 0 ? undefined : { detail: broken.join(" ") })
        })
      })

      return Layer.mergeAll(
        route("POST", "/credential/:provider_id", credential),
        route("POST", "/batch-credential", credentialMany),
        route("GET", "/batch-credential", listed),
        route("GET", "/batch-credential/:batch_id", oneBatch),
        route("GET", "/batch-credential/:batch_id/events", events),
        route("POST", "/chat", talk)
      )
    })
  )
