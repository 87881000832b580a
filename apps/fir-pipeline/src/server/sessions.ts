// The sessions: a complaint in, answers to its steps, and what is seen of it meanwhile.
import { Bulkhead } from "@sluice/semaphore"
import { Effect, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Api, Caller, FilePayload, ProcessPayload, RegeneratePayload, ValidatePayload } from "../Api.ts"
import * as Body from "../internal/body.ts"
import { STEPS } from "../Machine.ts"
import { Pipeline, type Progress } from "../Pipeline.ts"
import * as Problems from "../Problems.ts"
import type { Settings } from "../Settings.ts"
import { PIXELS_MOST, pixels, sniff, type Upload } from "../Uploads.ts"
import { answered, found, idempotencyKey, iso, noStore, validated } from "./answers.ts"

const MEGABYTE = 1024 * 1024
/** A complaint of 50,000 characters, percent-encoded, each of four bytes. */
const TEXT_LIMIT = MEGABYTE
/** What a form has beside its file. */
const FORM_MARGIN = 64 * 1024
const ANSWER_LIMIT = 512 * 1024
const KEPT_ALIVE = "15 seconds"

const decodeProcess = Body.decode(ProcessPayload)
const decodeFile = Body.decode(FilePayload)
const decodeValidate = Body.decode(ValidatePayload)
const decodeRegenerate = Body.decode(RegeneratePayload)

const isUrgent = (urgent: boolean | string | undefined): boolean =>
  urgent === true || urgent === "true" || urgent === "1" || urgent === "on"

const KINDS = { image: "an image is PNG or JPEG", audio: "a recording is WAV or MP3" } as const

const upload = (
  fields: unknown,
  kind: Upload["kind"],
  megabytes: number
): Effect.Effect<Upload | undefined, Problems.UnsupportedType | Problems.TooLarge> => {
  const file = Body.file(fields, kind)
  if (file === undefined) return Effect.succeed(undefined)
  if (file.length > megabytes * MEGABYTE) {
    return Effect.fail(new Problems.TooLarge({ detail: `A file may have ${megabytes} megabytes` }))
  }
  const known = sniff(file)
  if (known?.kind !== kind)
    return Effect.fail(new Problems.UnsupportedType({ detail: `By its content, ${KINDS[kind]}` }))
  return kind === "image" && pixels(known) > PIXELS_MOST
    ? Effect.fail(new Problems.TooLarge({ detail: `An image may have ${PIXELS_MOST} pixels` }))
    : Effect.succeed(known)
}

const has = (fields: unknown, name: string): boolean =>
  typeof fields === "object" && fields !== null && Object.hasOwn(fields, name)

/** Exactly one of a text, an image and a recording. */
const submission = (fields: unknown, megabytes: number) =>
  Effect.gen(function* () {
    const given = ["text", "image", "audio"].filter((name) => has(fields, name))
    if (given.length > 1) {
      return yield* new Problems.Invalid({ detail: `Send one of text, image and audio, not ${given.join(" and ")}` })
    }
    const file = (yield* upload(fields, "image", megabytes)) ?? (yield* upload(fields, "audio", megabytes))
    if (file !== undefined) return { complaint: file, urgent: isUrgent((yield* decodeFile(fields)).urgent) }
    const { text, urgent } = yield* decodeProcess(fields)
    return { complaint: text, urgent: isUrgent(urgent) }
  })

const told = ({ content, place, status, step, version }: Progress): string =>
  `id: ${version}\nevent: progress\ndata: ${JSON.stringify({
    status,
    current_step: step,
    awaiting_validation: status === "awaiting_validation",
    place: place ?? null,
    content
  })}\n\n`

const events = (progress: Stream.Stream<Progress, unknown>) =>
  progress.pipe(
    Stream.map(told),
    // A watcher that is cut off asks again; what it is told then is how things are then.
    Stream.catch(() => Stream.empty),
    // Proxies end what is silent for long.
    Stream.merge(
      Stream.map(Stream.tick(KEPT_ALIVE), () => ":\n\n"),
      { haltStrategy: "left" }
    ),
    Stream.encodeText
  )

const isMultipart = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  (headers["content-type"] ?? "").toLowerCase().startsWith("multipart/")

export const sessions = (settings: Settings) =>
  HttpApiBuilder.group(
    Api,
    "sessions",
    Effect.fnUntraced(function* (handlers) {
      const pipeline = yield* Pipeline
      const fileLimit = settings.maxFileMegabytes * MEGABYTE + FORM_MARGIN
      // Files are held in memory while they are read, so no more of them than reports.
      const files = yield* Bulkhead.make({
        permits: settings.maxConcurrentRequests,
        maxWaiting: settings.maxWaitingRequests
      })
      const bounded = <A, E, R>(request: HttpServerRequest.HttpServerRequest, work: Effect.Effect<A, E, R>) =>
        isMultipart(request)
          ? Effect.mapError(files.withPermit(work), (error) =>
              error instanceof Bulkhead.BulkheadFull || error instanceof Bulkhead.BulkheadTimeout
                ? new Problems.Unavailable({ detail: error.message, retry_after: 10 })
                : error
            )
          : work

      return handlers
        .handleRaw("process", ({ request }) =>
          bounded(
            request,
            Effect.gen(function* () {
              const key = yield* idempotencyKey(request)
              const { name } = yield* Caller
              const fields = yield* Body.fields(request, ["json", "form", "multipart"], TEXT_LIMIT, fileLimit)
              const given = yield* submission(fields, settings.maxFileMegabytes)
              const outcome = yield* pipeline
                .submit({ ...given, by: name, idempotencyKey: key })
                .pipe(answered, Effect.catchTags({ NotFound: Effect.die, NotAwaitingValidation: Effect.die }))
              const { duplicateOf } = outcome
              return {
                success: true,
                session_id: outcome.sessionId,
                steps: STEPS,
                requires_validation: true,
                current_step: outcome.step,
                content_for_validation: outcome.content,
                ...(duplicateOf === undefined
                  ? {}
                  : {
                      duplicate_of: {
                        session_id: duplicateOf.sessionId,
                        created_at: iso(duplicateOf.createdAt),
                        fir_number: duplicateOf.firNumber
                      }
                    })
              }
            })
          )
        )
        .handleRaw("validate", ({ request }) =>
          Effect.gen(function* () {
            const key = yield* idempotencyKey(request)
            const { name } = yield* Caller
            const body = yield* Effect.flatMap(Body.fields(request, ["json"], ANSWER_LIMIT), decodeValidate)
            if (body.approved && body.regenerate === true) {
              return yield* new Problems.Invalid({ detail: "A step is either approved or made again, not both" })
            }
            const outcome = yield* pipeline
              .answer({
                sessionId: body.session_id,
                event: body.approved ? "approve" : body.regenerate === true ? "regenerate" : "reject",
                input: body.user_input ?? "",
                expectedStep: body.current_step,
                by: name,
                idempotencyKey: key
              })
              .pipe(answered)
            return validated(outcome)
          })
        )
        .handle("status", ({ params }) =>
          Effect.gen(function* () {
            const { content, place, session, working } = yield* found(pipeline.status(params.id))
            const history = yield* noStore(pipeline.history(params.id))
            return {
              session_id: session.sessionId,
              status: working ? ("processing" as const) : session.status,
              current_step: session.step,
              awaiting_validation: !working && session.status === "awaiting_validation",
              urgent: session.urgent,
              place: place ?? null,
              content,
              validation_history: history.map(({ action, at, by, input, step, version }) => ({
                step,
                action,
                by,
                at: iso(at),
                version,
                user_input: input
              })),
              created_at: iso(session.createdAt),
              last_activity: iso(session.lastActivity)
            }
          })
        )
        .handleRaw("events", ({ params }) =>
          Effect.as(
            found(pipeline.status(params.id)),
            HttpServerResponse.stream(events(pipeline.watch(params.id)), {
              contentType: "text/event-stream",
              headers: { "x-accel-buffering": "no" }
            })
          )
        )
        .handle("versions", ({ params }) =>
          Effect.map(found(pipeline.versions(params.id)), (versions) => ({
            session_id: params.id,
            versions: versions.map(({ at, content, step, version }) => ({ version, step, at: iso(at), content }))
          }))
        )
        .handleRaw("regenerate", ({ params, request }) =>
          Effect.gen(function* () {
            const key = yield* idempotencyKey(request)
            const { name } = yield* Caller
            const body = yield* Effect.flatMap(Body.fields(request, ["json"], ANSWER_LIMIT), decodeRegenerate)
            const outcome = yield* pipeline
              .answer({
                sessionId: params.id,
                event: "regenerate",
                input: body.user_input ?? "",
                expectedStep: body.step,
                by: name,
                idempotencyKey: key
              })
              .pipe(answered)
            return {
              success: true,
              session_id: outcome.sessionId,
              step: outcome.step,
              content: outcome.content,
              message: outcome.message
            }
          })
        )
    })
  )
