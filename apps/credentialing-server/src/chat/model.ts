// A language model behind an OpenAI-compatible endpoint, whose words come as a
// stream.
import { HttpPool } from "@sluice/http-pool"
import { Backoff, Retry, RetryAfter } from "@sluice/retry"
import { Clock, Data, type Duration, Effect, Option, Redacted, Result, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpBody, type HttpClient, HttpClientRequest, type HttpClientResponse } from "effect/http"
import * as Breaker from "../internal/breaker.ts"

export class ModelUnavailable extends Data.TaggedError("ModelUnavailable")<{
  readonly reason: string
  /** Whether the same question may be answered a moment later. */
  readonly passing: boolean
  readonly retryAfter?: Duration.Duration | undefined
}> {
  override get message(): string {
    return `The language model gave no answer: ${this.reason}`
  }
}

export interface Options {
  /** Of the API, such as `http://127.0.0.1:11434/v1`. */
  readonly url: string
  readonly model: string
  readonly key: Redacted.Redacted<string> | undefined
}

export interface Model {
  readonly name: string
  /** The words of an answer. What the effect fails with came before the first of them. */
  ask(system: string, question: string): Effect.Effect<Stream.Stream<string, ModelUnavailable>, ModelUnavailable>
}

const Chunk = Schema.fromJsonString(
  Schema.Struct({
    choices: Schema.Array(
      Schema.Struct({
        delta: Schema.optionalKey(Schema.Struct({ content: Schema.optionalKey(Schema.NullOr(Schema.String)) }))
      })
    )
  })
)
const decodeChunk = Schema.decodeUnknownResult(Chunk)

const broken = (reason: string) => new ModelUnavailable({ reason, passing: true })

/** The text of one event; what is no text (a role, the use of tokens) has none. */
const textOf = (data: string): Result.Result<string, ModelUnavailable> =>
  Result.match(decodeChunk(data), {
    onFailure: () => Result.fail(broken("its words have another form")),
    onSuccess: ({ choices }) => Result.succeed(choices[0]?.delta?.content ?? "")
  })

/** Events of a response, until the one that says that it is all. A response that ends without it broke off. */
const words = (response: HttpClientResponse.HttpClientResponse): Stream.Stream<string, ModelUnavailable> =>
  Stream.suspend(() => {
    let isDone = false
    const parsed: Array<string> = []
    const parser = Sse.makeParser((event) => {
      if (event._tag === "Event") parsed.push(event.data)
    })
    return response.stream.pipe(
      Stream.decodeText(),
      Stream.mapError(() => broken("it broke off")),
      Stream.mapEffect((text) =>
        Effect.gen(function* () {
          const problem = parser.feed(text)
          if (problem !== undefined) return yield* broken("its words have another form")
          const texts: Array<string> = []
          for (const data of parsed.splice(0)) {
            if (data === "[DONE]") isDone = true
            else texts.push(yield* Effect.fromResult(textOf(data)))
          }
          return texts.join("")
        })
      ),
      Stream.filter((text) => text !== ""),
      Stream.concat(
        Stream.fromEffect(
          Effect.suspend(() => (isDone ? Effect.succeed("") : Effect.fail(broken("it broke off"))))
        ).pipe(Stream.filter((text) => text !== ""))
      )
    )
  })

export const make = (client: HttpClient.HttpClient, { key, model, url }: Options) =>
  Effect.map(Breaker.make(5), (breaker): Model => {
    const again = Retry.retry<ModelUnavailable>({
      maxAttempts: 3,
      backoff: Backoff.exponential({ base: "200 millis", cap: "5 seconds", jitter: "full" }),
      while: ({ passing }) => passing,
      retryAfter: ({ retryAfter }) => retryAfter,
      maxRetryAfter: "10 seconds"
    })
    const request = (system: string, question: string) => {
      const post = HttpClientRequest.post(`${url}/chat/completions`, {
        body: HttpBody.jsonUnsafe({
          model,
          stream: true,
          messages: [
            { role: "system", content: system },
            { role: "user", content: question }
          ]
        })
      })
      return key === undefined ? post : HttpClientRequest.bearerToken(post, Redacted.value(key))
    }
    const open = Effect.fnUntraced(function* (system: string, question: string) {
      const response = yield* client.execute(request(system, question))
      if (response.status === 200) return words(response)
      const now = yield* Clock.currentTimeMillis
      return yield* new ModelUnavailable({
        reason: `it answered with status ${response.status}`,
        passing: response.status === 429 || response.status >= 500,
        retryAfter: Option.getOrUndefined(RetryAfter.parse(response.headers["retry-after"] ?? "", now))
      })
    })
    return {
      name: model,
      ask: (system, question) =>
        breaker
          .guard(
            "model",
            open(system, question).pipe(
              Effect.catchTag("HttpClientError", (error) =>
                Effect.fail(
                  broken(
                    Option.match(HttpPool.poolError(error), {
                      onNone: () => error.message,
                      onSome: ({ message }) => message
                    })
                  )
                )
              )
            ),
            {
              isFault: ({ passing }) => passing,
              resting: (retryAfter) =>
                new ModelUnavailable({ reason: "it keeps failing and is left to recover", passing: false, retryAfter })
            }
          )
          .pipe(again)
    }
  })
