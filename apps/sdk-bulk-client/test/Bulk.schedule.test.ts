// Bulk creates of three items under many schedules, and the limit that all share.

import { Explorer } from "@sluice/schedule-explorer"
import { Duration, Effect, Fiber, Schema, Stream } from "effect"
import { describe, it } from "vitest"
import { ApiError, Bulk, type CallError, ConnectionError } from "../src/index.ts"
import { make } from "../src/internal/limit.ts"

const Item = Schema.Struct({ name: Schema.String })
const Made = Schema.Struct({ id: Schema.String })
const items = ["a", "b", "c"].map((name) => ({ name }))

const refusal = new ApiError({
  kind: "RateLimited",
  status: 429,
  method: "POST",
  path: "/",
  detail: "",
  requestId: undefined,
  retryAfter: undefined
})

const dieUnless = (holds: boolean, message: string) => (holds ? Effect.void : Effect.die(message))

/** Creates that keep count; item b fails if it is told to. */
const target = (bFails: boolean) =>
  Effect.gen(function* () {
    const state = { open: 0, most: 0, begun: [] as string[], ended: [] as string[] }
    yield* Explorer.atEnd("every create that began has ended", () => state.open === 0 || `${state.open} still run`)
    const create: Bulk.Create<typeof Item.Type, typeof Made.Type> = ({ name }) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          state.begun.push(name)
          state.most = Math.max(state.most, ++state.open)
        }),
        () =>
          Effect.andThen(Effect.yieldNow, bFails && name === "b" ? Effect.fail(refusal) : Effect.succeed({ id: name })),
        () =>
          Effect.sync(() => {
            state.open--
            state.ended.push(name)
          })
      )
    const bulk: Bulk.BulkTarget<typeof Item.Type, typeof Made.Type> = {
      name: "items",
      item: Item,
      value: Made,
      create: (item, how) =>
        Effect.suspend(() =>
          Effect.andThen(
            dieUnless(item.name === "a" || state.ended.includes("a"), `${item.name} was sent before a had ended`),
            create(item, how)
          )
        ),
      defaults: { maxConcurrent: 2, isolated: true }
    }
    return { bulk, state }
  })

const holds = (program: Effect.Effect<unknown, unknown>, interruptions = 0): void => {
  Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 20_000 }) })
  Explorer.assert(program, { interruptions, strategy: Explorer.random({ runs: 1000, seed: 5, maxPreemptions: 3 }) })
}

describe("a bulk create", () => {
  for (const bFails of [false, true]) {
    it(`gives each item one result, item 0 first and two at once at the most${bFails ? ", where one fails" : ""}`, () => {
      holds(
        Effect.gen(function* () {
          const { bulk, state } = yield* target(bFails)
          const results = yield* Stream.runCollect(Bulk.stream(bulk, items, { maxConcurrent: 2 }))
          yield* dieUnless(state.most <= 2, `${state.most} at once`)
          const told = results.map(({ index, status }) => `${index} ${status}`).toSorted()
          const expected = ["0 created", bFails ? "1 failed" : "1 created", "2 created"]
          yield* dieUnless(told.join() === expected.join(), told.join())
        })
      )
    })
  }

  it("leaves no create running where its caller is interrupted, whenever that is", () => {
    const program = Effect.gen(function* () {
      const { bulk } = yield* target(false)
      // The fibers of its own are interrupted by the caller's end alone.
      const run = Explorer.spared(Stream.runDrain(Bulk.stream(bulk, items, { maxConcurrent: 2 })))
      const fiber = yield* Effect.forkChild(run)
      for (let turn = 0; turn < 3; turn++) yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
    })
    Explorer.assert(program, { strategy: Explorer.random({ runs: 2000, seed: 5, maxPreemptions: 3 }) })
  })
})

describe("the limit", () => {
  it("has all its places back, whoever is refused, waits too long or is interrupted", () => {
    const noPlace = new ConnectionError({
      method: "POST",
      path: "/",
      description: "",
      mayHaveReachedServer: false,
      isTimeout: true,
      cause: undefined
    })
    holds(
      Effect.gen(function* () {
        const limit = yield* make(1, true, Duration.seconds(1))
        yield* Explorer.atEnd("no place is held", () => limit.stats().inFlight === 0 || "a place is held")
        let open = 0
        const attempt = (error: CallError | undefined) =>
          Effect.acquireUseRelease(
            Effect.suspend(() => dieUnless(++open <= 1, "two are in flight")),
            () => Effect.andThen(Effect.sleep("700 millis"), error === undefined ? Effect.void : Effect.fail(error)),
            () => Effect.sync(() => open--)
          )
        const fibers = yield* Effect.forEach([undefined, refusal, undefined], (error) =>
          Effect.forkChild(Effect.ignore(limit.around("POST contexts", attempt(error), () => noPlace)))
        )
        yield* Effect.forEach(fibers, Fiber.await)
      }),
      1
    )
  })
})
