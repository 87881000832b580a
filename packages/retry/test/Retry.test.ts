import { describe, expect, it } from "@effect/vitest"
import { Backoff, Retry, RetryAfter } from "@sluice/retry"
import { Clock, Duration, Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"

const noJitter = Backoff.exponential({ base: "1 second", jitter: "none" })

/** Fails with each error in turn, then succeeds; writes down when it was tried. */
const script = <E>(errors: ReadonlyArray<E>) => {
  const triedAt: Array<number> = []
  const effect = Effect.gen(function* () {
    triedAt.push(yield* Clock.currentTimeMillis)
    const error = errors[triedAt.length - 1]
    return error === undefined ? "done" : yield* Effect.fail(error)
  })
  return { effect, triedAt }
}

const finish = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(effect))
    yield* TestClock.adjust("1 day")
    return yield* yield* Fiber.join(fiber)
  })

describe("retry", () => {
  it.effect("waits longer each time, and gives the value once there is one", () =>
    Effect.gen(function* () {
      const { effect, triedAt } = script(["a", "b", "c"])
      expect(yield* finish(Retry.retry({ maxAttempts: 4, backoff: noJitter })(effect))).toBe("done")
      expect(triedAt).toEqual([0, 1000, 3000, 7000])
    })
  )

  it.effect("tries three times unless told otherwise, and fails with the last error", () =>
    Effect.gen(function* () {
      const { effect, triedAt } = script(["a", "b", "c", "d"])
      expect(yield* Effect.flip(finish(Retry.retry()(effect)))).toBe("c")
      expect(triedAt).toHaveLength(3)
    })
  )

  it.effect("does not try again what is not worth it", () =>
    Effect.gen(function* () {
      const { effect, triedAt } = script(["temporary", "final", "temporary"])
      const policy = Retry.retry<string>({ maxAttempts: 9, while: (error) => error === "temporary" })
      expect(yield* Effect.flip(finish(policy(effect)))).toBe("final")
      expect(triedAt).toHaveLength(2)
    })
  )

  it.effect("waits as long as the error asks, if that is longer", () =>
    Effect.gen(function* () {
      const { effect, triedAt } = script([5000, 100])
      const policy = Retry.retry<number>({ backoff: noJitter, retryAfter: (millis) => Duration.millis(millis) })
      yield* finish(policy(effect))
      expect(triedAt).toEqual([0, 5000, 7000])
    })
  )

  it.effect("gives up at once where the error asks for more than is allowed", () =>
    Effect.gen(function* () {
      const { effect, triedAt } = script([3_600_000])
      const policy = Retry.retry<number>({ retryAfter: (millis) => Duration.millis(millis) })
      expect(yield* Effect.flip(finish(policy(effect)))).toBe(3_600_000)
      expect(triedAt).toEqual([0])
    })
  )

  it.effect("starts anew with each run", () =>
    Effect.gen(function* () {
      const { effect, triedAt } = script(["a", "b", "c", "d"])
      const policy = Retry.retry<string>({ maxAttempts: 2, backoff: noJitter })(effect)
      yield* Effect.flip(finish(policy))
      yield* Effect.flip(finish(policy))
      expect(triedAt.map((at, index) => at - (triedAt[index - 1] ?? at))).toEqual([0, 1000, 86_399_000, 1000])
    })
  )

  it("refuses a number of attempts that makes no sense", () => {
    expect(() => Retry.retry({ maxAttempts: 0 })).toThrow("maxAttempts 0")
    expect(() => Backoff.exponential({ base: 0 })).toThrow("base 0")
  })
})

describe("RetryAfter.parse", () => {
  const now = Date.UTC(2026, 0, 1)
  const read = (header: string) => Option.getOrUndefined(Option.map(RetryAfter.parse(header, now), Duration.toMillis))

  it.each([
    ["0", 0],
    ["120", 120_000],
    [" 7 ", 7000],
    ["Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["", undefined],
    ["-1", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["2026-01-01T00:01:00Z", undefined],
    ["99999999999999999999", undefined]
  ])("reads %j as %s ms", (header, expected) => {
    expect(read(header)).toBe(expected)
  })
})
