import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as Breaker from "../src/Breaker.ts"
import * as Limits from "../src/Limits.ts"
import { Models } from "../src/Models.ts"
import * as ModelsLive from "../src/models/layer.ts"
import type { Request } from "../src/Prompt.ts"
import * as Telemetry from "../src/Telemetry.ts"

const question: Request = { model: "summariser", prompt: "Task: summary\n", maxTokens: 100, temperature: 0.1 }

const address = { url: "http://models", api: "guide" as const, model: "default", key: undefined }
const options: ModelsLive.Options = {
  modelServer: address,
  asrOcrServer: { ...address, ocrModel: "default" },
  ocrEngine: "server",
  ocrLanguages: ["eng"],
  asrTimeoutSeconds: 180,
  ocrTimeoutSeconds: 120,
  hedgeSeconds: 0
}

/** A model server that gives these answers in turn, the last one for ever. */
const server = (...answers: ReadonlyArray<() => Response>) => {
  let asked = 0
  const client = HttpClient.make((request) =>
    Effect.sync(() => {
      const answer = answers[Math.min(asked++, answers.length - 1)] ?? (() => new Response(null, { status: 500 }))
      return HttpClientResponse.fromWeb(request, answer())
    })
  )
  const layer = ModelsLive.layer(options).pipe(
    Layer.provide(Telemetry.layer),
    Layer.provide(Limits.layer({ reports: 15, waitingReports: 200, modelCalls: 10 })),
    Layer.provideMerge(Breaker.layer({ failures: 5, longestOpenSeconds: 60 })),
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
  )
  return { layer, asked: () => asked }
}

const good = () => Response.json({ result: "a summary" })
const down = () => new Response(null, { status: 503 })
const ask = Effect.flatMap(Models, (models) => models.infer(question, 60))
const askFor = (minutes: number) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.result(ask))
    yield* TestClock.adjust(`${minutes} minutes`)
    return yield* Fiber.join(fiber)
  })

describe("a model server", () => {
  it.effect("is asked again when it was busy for a moment", () => {
    const { asked, layer } = server(down, down, good)
    return Effect.gen(function* () {
      const result = yield* askFor(1)
      assert.strictEqual(result._tag, "Success")
      assert.strictEqual(asked(), 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is not asked again when it refuses the question", () => {
    const { asked, layer } = server(() => new Response(null, { status: 422 }))
    return Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(ask))._tag, "ModelUnavailable")
      assert.strictEqual(asked(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is asked no earlier than it says", () => {
    const { asked, layer } = server(() => new Response(null, { status: 503, headers: { "retry-after": "9" } }), good)
    return Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(ask)
      yield* TestClock.adjust("8999 millis")
      assert.strictEqual(asked(), 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "a summary")
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "is left to recover after five failures in a row, longer each time up to a minute, or until it is told",
    () => {
      const { asked, layer } = server(...Array.from({ length: 200 }, () => down))
      return Effect.gen(function* () {
        const breaker = (yield* Breaker.Breaker).of("model_server")
        const seen = new Set<number>()
        for (let second = 0; second < 400; second++) {
          yield* Effect.forkChild(Effect.result(ask))
          yield* TestClock.adjust("1 second")
          const { retryAfterSeconds, state } = yield* breaker.state
          if (state === "open") seen.add(retryAfterSeconds)
        }
        assert.strictEqual(Math.max(...seen), 60)
        // Without the breaker it would have been asked twelve hundred times.
        assert.isBelow(asked(), 20)
        yield* breaker.reset
        assert.strictEqual((yield* breaker.state).state, "closed")
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("that was only restarted is waited for, and the officer does not notice", () => {
    const { layer } = server(down, down, down, down, down, good)
    return Effect.gen(function* () {
      const breaker = (yield* Breaker.Breaker).of("model_server")
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.forkChild(Effect.result(ask)))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* breaker.state).state, "open")
      yield* TestClock.adjust("30 seconds")
      for (const fiber of fibers) assert.strictEqual((yield* Fiber.join(fiber))._tag, "Success")
    }).pipe(Effect.provide(layer))
  })

  it.effect("is unhealthy when it does not answer in time", () => {
    const client = HttpClient.make(() => Effect.never)
    const layer = ModelsLive.layer(options).pipe(
      Layer.provide(Telemetry.layer),
      Layer.provide(Limits.layer({ reports: 15, waitingReports: 200, modelCalls: 10 })),
      Layer.provide(Breaker.layer({ failures: 5, longestOpenSeconds: 60 })),
      Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
    )
    return Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.flatMap(Models, ({ health }) => health))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, "unavailable")
    }).pipe(Effect.provide(layer))
  })
})
