import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { supervise } from "../src/internal/workers/supervisor.ts"
import { crash, fakes } from "./support/fakeProcesses.ts"

const quick = () => ({ readyAfter: 50, drainsAfter: 20 })

/** As `Effect.scoped`, with time for what ends to end. */
const scoped = <A, E>(self: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const result = yield* Scope.provide(self, scope)
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
    yield* TestClock.adjust("1 minute")
    yield* Fiber.join(closing)
    return result
  })

describe("the supervisor", () => {
  it.effect("starts as many as there should be", () =>
    Effect.gen(function* () {
      const processes = yield* fakes(quick)
      const supervisor = yield* supervise(processes.settings({ workers: 3 }))
      yield* TestClock.adjust(60)
      assert.deepStrictEqual(
        processes.ready().map(({ place }) => place),
        [1, 2, 3]
      )
      const { capacity, ready, started } = supervisor.stats()
      assert.deepStrictEqual([capacity, ready, started], [3, 3, 3])
    }).pipe(scoped)
  )

  it.effect("replaces one that is worn: the new one takes requests before the old one drains", () =>
    Effect.gen(function* () {
      const atDrain: Array<number> = []
      const processes = yield* fakes(quick, () => atDrain.push(processes.ready().length))
      const supervisor = yield* supervise(processes.settings())
      yield* TestClock.adjust(60)
      processes.all[0]?.wear()
      yield* TestClock.adjust(40)
      assert.lengthOf(processes.ready(), 2)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(atDrain, [3])
      assert.deepStrictEqual(
        processes.events.map((event) => `${event._tag} ${event.pid}`),
        [
          "Started 1000",
          "Started 1001",
          "Ready 1000",
          "Ready 1001",
          "Replacing 1000",
          "Started 1002",
          "Ready 1002",
          "Exited 1000"
        ]
      )
      const { recycled, crashed, workers } = supervisor.stats()
      assert.deepStrictEqual([recycled, crashed], [1, 0])
      assert.deepStrictEqual(
        workers.map(({ pid, worker }) => [worker, pid]),
        [
          [1, 1002],
          [2, 1001]
        ]
      )
    }).pipe(scoped)
  )

  it.effect("replaces all by a roll, one after the other, and says when the old ones have ended", () =>
    Effect.gen(function* () {
      const processes = yield* fakes(quick)
      const supervisor = yield* supervise(processes.settings({ workers: 3 }))
      yield* TestClock.adjust(60)
      const rolling = yield* Effect.forkChild(supervisor.roll)
      for (let n = 0; n < 40 && rolling.pollUnsafe() === undefined; n++) {
        yield* TestClock.adjust(10)
        assert.isAtMost(processes.alive().length, 4)
      }
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(rolling)))
      assert.deepStrictEqual(
        processes.alive().map(({ pid }) => pid),
        [1003, 1004, 1005]
      )
      assert.strictEqual(supervisor.stats().rolled, 3)
    }).pipe(scoped)
  )

  it.effect("starts one that crashes soon again after pauses that double, and one that was stable at once", () =>
    Effect.gen(function* () {
      const processes = yield* fakes(() => ({ readyAfter: 0, drainsAfter: 0 }))
      yield* supervise(processes.settings({ workers: 1, restartCap: "400 millis" }))
      for (const pause of [100, 200, 400, 400]) {
        yield* TestClock.adjust(1)
        processes.ready()[0]?.exit(crash)
        yield* TestClock.adjust(pause - 2)
        assert.lengthOf(processes.alive(), 0)
        yield* TestClock.adjust(2)
        assert.lengthOf(processes.alive(), 1)
      }
      yield* TestClock.adjust("11 seconds")
      processes.ready()[0]?.exit(crash)
      yield* TestClock.adjust(1)
      assert.lengthOf(processes.ready(), 1)
    }).pipe(scoped)
  )

  it.effect("gives up when so many starts in a row fail, and not before", () =>
    Effect.gen(function* () {
      const processes = yield* fakes((_, start) => ({ readyAfter: start === 3 ? 0 : undefined, drainsAfter: 0 }))
      const supervisor = yield* supervise(processes.settings({ workers: 1, maxFailedStarts: 4 }))
      const joined = yield* Effect.forkChild(Effect.flip(supervisor.join))
      yield* TestClock.adjust("125 seconds")
      assert.isUndefined(joined.pollUnsafe())
      assert.lengthOf(processes.ready(), 1)
      processes.ready()[0]?.exit(crash)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* Fiber.join(joined), 4)
      assert.strictEqual(supervisor.stats().failedStarts >= 4, true)
    }).pipe(scoped)
  )

  it.effect("keeps the old one while its successor does not start", () =>
    Effect.gen(function* () {
      const processes = yield* fakes((_, start) => ({ readyAfter: start === 1 ? undefined : 10, drainsAfter: 10 }))
      yield* supervise(processes.settings({ workers: 1, startTimeout: "1 second" }))
      yield* TestClock.adjust(20)
      processes.all[0]?.wear()
      yield* TestClock.adjust(900)
      assert.deepStrictEqual(
        processes.ready().map(({ pid }) => pid),
        [1000]
      )
      yield* TestClock.adjust(400)
      assert.deepStrictEqual(
        processes.alive().map(({ pid }) => pid),
        [1002]
      )
    }).pipe(scoped)
  )

  it.effect("lets all drain at the end, and kills what does not", () =>
    Effect.gen(function* () {
      const processes = yield* fakes((place) => ({ readyAfter: 0, drainsAfter: place === 1 ? 3000 : undefined }))
      const scope = yield* Scope.make()
      yield* Scope.provide(supervise(processes.settings()), scope)
      yield* TestClock.adjust(1)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        processes.alive().map(({ place }) => place),
        [2]
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.lengthOf(processes.alive(), 0)
      assert.deepStrictEqual(
        processes.events.flatMap((event) => (event._tag === "Exited" ? [`${event.worker} ${event.reason}`] : [])),
        ["1 drained", "2 killed"]
      )
    })
  )
})
