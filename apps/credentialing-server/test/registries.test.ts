import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { generate } from "../src/Provider.ts"
import * as Registries from "../src/workflow/Registries.ts"

const provider = generate(1, 1)
const sanctions = { npi: provider.npi, matches: [] }

interface Replies {
  readonly asked: Array<string>
  reply: (attempt: number) => Effect.Effect<Response>
}

const json = (body: unknown, init: ResponseInit = {}) => new Response(JSON.stringify(body), init)

const over = (replies: Replies, options: Partial<Registries.Options> = {}) =>
  Registries.layer({
    url: "http://registry",
    permits: 2,
    attempts: 4,
    attemptTimeout: "1 second",
    timeout: "10 seconds",
    breakerFailures: 5,
    ...options
  }).pipe(
    Layer.provide(
      Layer.succeed(
        HttpClient.HttpClient,
        HttpClient.make((request, url) =>
          Effect.suspend(() => {
            replies.asked.push(url.pathname)
            return replies.reply(replies.asked.length)
          }).pipe(Effect.map((response) => HttpClientResponse.fromWeb(request, response)))
        )
      )
    )
  )

/** Looks, while the clock goes on for as long as it takes. */
const look = (check: "licence" | "sanctions") =>
  Effect.gen(function* () {
    const registries = yield* Registries.Registries
    const looking = yield* Effect.forkChild(Effect.exit(registries.look(check, provider)))
    yield* TestClock.adjust("30 seconds")
    return yield* Effect.flatten(Fiber.join(looking))
  })

describe("a registry", () => {
  it.effect("is asked for a licence by its number, and for all else by the identifier", () => {
    const replies: Replies = { asked: [], reply: () => Effect.succeed(json({}, { status: 404 })) }
    return Effect.gen(function* () {
      assert.isNull(yield* look("licence"))
      assert.isNull(yield* look("sanctions"))
      assert.deepStrictEqual(replies.asked, [`/licence/${provider.licence_number}`, `/sanctions/${provider.npi}`])
    }).pipe(Effect.provide(over(replies)))
  })

  it.effect("that fails in passing is asked again, after the time that it asks for", () => {
    const replies: Replies = {
      asked: [],
      reply: (attempt) =>
        Effect.succeed(
          attempt < 3 ? new Response(null, { status: 503, headers: { "retry-after": "2" } }) : json(sanctions)
        )
    }
    return Effect.gen(function* () {
      const registries = yield* Registries.Registries
      const looking = yield* Effect.forkChild(registries.look("sanctions", provider))
      yield* TestClock.adjust("1900 millis")
      assert.strictEqual(replies.asked.length, 1)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(looking), sanctions)
      assert.strictEqual(replies.asked.length, 3)
    }).pipe(Effect.provide(over(replies)))
  })

  it.effect("that stalls is given up after a second, each time", () => {
    const replies: Replies = { asked: [], reply: () => Effect.never }
    return Effect.gen(function* () {
      const error = yield* Effect.flip(look("sanctions"))
      assert.strictEqual(error.message, "The sanctions registry gave no answer: it did not answer in time")
      assert.strictEqual(replies.asked.length, 4)
    }).pipe(Effect.provide(over(replies)))
  })

  it.effect("whose record has another form is not asked again", () => {
    const replies: Replies = { asked: [], reply: () => Effect.succeed(json({ npi: 7 })) }
    return Effect.gen(function* () {
      const error = yield* Effect.flip(look("sanctions"))
      assert.include(error.message, "its record has another form")
      assert.strictEqual(replies.asked.length, 1)
    }).pipe(Effect.provide(over(replies)))
  })

  it.effect("that keeps failing is left to recover, and the others are asked as ever", () => {
    const replies: Replies = { asked: [], reply: () => Effect.succeed(new Response(null, { status: 500 })) }
    return Effect.gen(function* () {
      const registries = yield* Registries.Registries
      yield* Effect.flip(registries.look("sanctions", provider))
      const failing = yield* registries.stats
      assert.deepStrictEqual(
        failing.map(({ breaker }) => breaker),
        ["closed", "open", "closed", "closed"]
      )
      assert.strictEqual(replies.asked.length, 1)
      const resting = yield* Effect.flip(registries.look("sanctions", provider))
      assert.include(resting.message, "is left to recover")
      assert.strictEqual(replies.asked.length, 1)
      replies.reply = () => Effect.succeed(json(sanctions))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* look("sanctions"), sanctions)
    }).pipe(Effect.provide(over(replies, { attempts: 1, breakerFailures: 1 })))
  })

  it.effect("is asked no more at once than it has places", () => {
    let atOnce = 0
    let most = 0
    const replies: Replies = {
      asked: [],
      reply: () =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            most = Math.max(most, ++atOnce)
          }),
          () => Effect.as(Effect.sleep(Duration.millis(100)), json(sanctions)),
          () => Effect.sync(() => atOnce--)
        )
    }
    return Effect.gen(function* () {
      const registries = yield* Registries.Registries
      const looking = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 20 }), () => registries.look("sanctions", provider), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(looking)).length, 20)
      assert.strictEqual(most, 2)
    }).pipe(Effect.provide(over(replies)))
  })
})
