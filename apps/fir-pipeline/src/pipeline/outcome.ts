// What a request to the pipeline comes to, and how it is kept for the same request
// made again.
import { createHash } from "node:crypto"
import { Effect, Schema } from "effect"
import { Conflict, type Outcome, type PipelineError } from "../Pipeline.ts"
import type { AlreadyAnswered, KeptAnswer, StoreApi, StoreError } from "../Store.ts"

const OutcomeSchema: Schema.Codec<Outcome> = Schema.Struct({
  sessionId: Schema.String,
  step: Schema.String,
  version: Schema.Number,
  content: Schema.Record(Schema.String, Schema.Unknown),
  completed: Schema.Boolean,
  message: Schema.String,
  duplicateOf: Schema.optionalKey(
    Schema.Struct({
      sessionId: Schema.String,
      createdAt: Schema.Number,
      firNumber: Schema.NullOr(Schema.String)
    })
  )
})

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(OutcomeSchema))

export const messageOf = (step: string): string => {
  switch (step) {
    case "completed":
      return "The report is complete"
    case "expired":
      return "The session has expired"
    default:
      return `Awaiting validation: ${step}`
  }
}

export const fingerprint = (...parts: ReadonlyArray<string>): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex")

/** A request under a key of its sender's, and what it asks for. */
export interface Asked {
  readonly key: string | undefined
  readonly mark: string
}

export interface KeptAnswers {
  /** The answer that the request got before. */
  find(asked: Asked): Effect.Effect<Outcome | undefined, Conflict | StoreError>
  /** The form in which an answer is kept. */
  keep(asked: Asked, outcome: Outcome): KeptAnswer | undefined
  /** Work on a request whose answer may have been given by another process before this one could. */
  orElsewhere(
    asked: Asked,
    work: Effect.Effect<Outcome, PipelineError | AlreadyAnswered>
  ): Effect.Effect<Outcome, PipelineError>
}

export const keptAnswers = (store: StoreApi): KeptAnswers => {
  const find = Effect.fnUntraced(function* ({ key, mark }: Asked) {
    if (key === undefined) return undefined
    const answer = yield* store.answer(key)
    if (answer === undefined) return undefined
    if (answer.fingerprint !== mark) {
      return yield* new Conflict({ detail: "This Idempotency-Key was used for another request" })
    }
    return yield* Effect.orDie(decode(answer.answer))
  })
  const elsewhere = (asked: Asked) =>
    Effect.flatMap(find(asked), (outcome) =>
      outcome === undefined
        ? Effect.fail(new Conflict({ detail: "The same request is being worked on" }))
        : Effect.succeed(outcome)
    )
  return {
    find,
    keep: ({ key, mark }, outcome) =>
      key === undefined ? undefined : { key, fingerprint: mark, answer: JSON.stringify(outcome) },
    orElsewhere: (asked, work) => Effect.catchTag(work, "AlreadyAnswered", () => elsewhere(asked))
  }
}
