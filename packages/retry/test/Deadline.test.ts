import { describe, expect, it } from "@effect/vitest"
import { Deadline } from "@sluice/retry"
import { Clock, Duration, Effect, Exit, Fiber, Logger, Option } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"

const finish = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(effect))
    yield* TestClock.adjust("1 hour")
    return yield* yield* Fiber.join(fiber)
  })

const left = Effect.map(Deadline.remaining, (remaining) =>
  Option.getOrUndefined(Option.map(remaining, Duration.toMillis))
)

describe("within", () => {
  it.effect("interrupts what is not done in time, and says so", () =>
    Effect.gen(function* () {
      let releasedAt = -1
      const work = Effect.onInterrupt(Effect.sleep("1 minute"), () =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          releasedAt = now
        })
      )
      const policy = Deadline.within("2 seconds")
      const error = yield* Effect.flip(finish(policy(work)))
      expect(error).toMatchObject({ remainingMillis: 2000, isStarted: true })
      expect(error.message).toBe("The work was not done within the 2000 ms that were left until its deadline")
      expect(releasedAt).toBe(2000)
      expect(yield* policy.stats).toEqual({ started: 1, missed: 1, refused: 0 })
    })
  )

  it.effect("gives each use its own time", () =>
    Effect.gen(function* () {
      const policy = Deadline.within("2 seconds")
      expect(
        yield* finish(
          Effect.andThen(policy(Effect.sleep("1 second")), policy(Effect.as(Effect.sleep("1 second"), "done")))
        )
      ).toBe("done")
    })
  )

  it.effect("starts nothing after the deadline, and says by how much it was late", () =>
    Effect.gen(function* () {
      let started = 0
      const work = Effect.sync(() => started++)
      let late: Exit.Exit<number, Deadline.DeadlineExceeded> = Exit.succeed(-1)
      const outer = Effect.sleep("3 seconds").pipe(
        Effect.andThen(Effect.exit(Deadline.within("1 minute")(work))),
        Effect.tap((exit) =>
          Effect.sync(() => {
            late = exit
          })
        ),
        Effect.uninterruptible,
        Deadline.within("2 seconds")
      )
      yield* Effect.exit(finish(outer))
      expect(started).toBe(0)
      expect(Option.getOrUndefined(Exit.findErrorOption(late))).toMatchObject({
        isStarted: false,
        remainingMillis: -1000,
        message: "The work was not started: its deadline had passed 1000 ms before"
      })
    })
  )

  it.effect("is not moved by a jump of the wall clock", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let jump = 0
      const wall = () => clock.currentTimeMillisUnsafe() + jump
      const jumping: Clock.Clock = {
        currentTimeMillisUnsafe: wall,
        currentTimeMillis: Effect.sync(wall),
        currentTimeNanosUnsafe: () => BigInt(wall()) * 1_000_000n,
        currentTimeNanos: Effect.sync(() => BigInt(wall()) * 1_000_000n),
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        monotonicTimeNanos: clock.monotonicTimeNanos,
        sleep: (duration) => clock.sleep(duration)
      }
      const program = Effect.sync(() => {
        jump = 86_400_000
      }).pipe(Effect.andThen(left), Deadline.within("2 seconds"))
      expect(yield* Effect.provideService(program, Clock.Clock, jumping)).toBe(2000)
    })
  )

  it.effect("leaves an effect without a deadline as it was", () =>
    Effect.gen(function* () {
      expect(yield* left).toBe(undefined)
      expect(yield* Deadline.headers()).toEqual({})
      expect(yield* finish(Deadline.within(Duration.infinity)(left))).toBe(undefined)
    })
  )

  /** Models nested deadlines as the least of the times at which they end. */
  it("never lengthens what is left", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 10_000 })), { minLength: 1, maxLength: 6 }),
        async (nest) => {
          let found: number | undefined
          const nested = nest.reduceRight<Effect.Effect<void, Deadline.DeadlineExceeded>>(
            (inner, [wait, duration]) => Effect.andThen(Effect.sleep(wait), Deadline.within(duration)(inner)),
            Effect.map(left, (millis) => {
              found = millis
            })
          )
          let now = 0
          let deadline = Number.POSITIVE_INFINITY
          for (const [wait, duration] of nest) {
            if (now + wait >= deadline) {
              deadline = Number.NaN
              break
            }
            now += wait
            deadline = Math.min(deadline, now + duration)
          }
          const expected = Number.isNaN(deadline) ? undefined : deadline - now
          await Effect.runPromise(Effect.scoped(Effect.provide(Effect.exit(finish(nested)), TestClock.layer())))
          return found === expected
        }
      )
    ))
})

describe("headers", () => {
  it.effect("carry the deadline from one machine to the next", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const sent = yield* Deadline.within("30 seconds")(Deadline.headers())
      expect(sent).toEqual({ "x-request-deadline": "2026-01-01T00:00:30.000Z", "grpc-timeout": "30000m" })
      yield* TestClock.adjust("10 seconds")
      const under = (received: Record<string, string>, options?: Deadline.FromHeadersOptions) =>
        Deadline.fromHeaders(received, options)(left)
      expect(yield* under(sent)).toBe(20_000)
      expect(yield* under({ "grpc-timeout": "5S" })).toBe(5000)
      expect(yield* under({ "x-request-deadline": String(Date.UTC(2026, 0, 1, 0, 0, 12)) })).toBe(2000)
      expect(yield* under({ "x-request-deadline": "2026-01-01T01:00:12+01:00" })).toBe(2000)
      expect(yield* under(sent, { maximum: "3 seconds" })).toBe(3000)
      expect(yield* under({})).toBe(undefined)
      expect(yield* under({}, { maximum: "3 seconds" })).toBe(3000)
    })
  )

  it.effect("may have another name", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const options = { name: "x-deadline" }
      const sent = yield* Deadline.within("1 second")(Deadline.headers(options))
      expect(sent["x-deadline"]).toBe("2026-01-01T00:00:01.000Z")
      expect(yield* Deadline.fromHeaders({ "x-deadline": sent["x-deadline"] ?? "" }, options)(left)).toBe(1000)
    })
  )

  it.effect("are counted over all requests of a receiver", () =>
    Effect.gen(function* () {
      const receive = Deadline.receiver({ maximum: "1 second" })
      yield* finish(receive({})(Effect.void))
      yield* Effect.flip(finish(receive({ "grpc-timeout": "5m" })(Effect.sleep("10 millis"))))
      yield* Effect.flip(receive({ "grpc-timeout": "0m" })(Effect.void))
      expect(yield* receive.stats).toEqual({ started: 2, missed: 1, refused: 1 })
    })
  )

  it.effect("that are past start nothing", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      let started = false
      const work = Effect.sync(() => {
        started = true
      })
      yield* Effect.flip(Deadline.fromHeaders({ "x-request-deadline": "2025-12-31T23:59:59Z" })(work))
      yield* Effect.flip(Deadline.fromHeaders({ "grpc-timeout": "0n" })(work))
      expect(started).toBe(false)
    })
  )

  it.effect.each(["soon", "-5", "1e9", "2026-01-01", "", "12 seconds"])(
    "that make no sense (%j) are ignored with a warning",
    (value) =>
      Effect.gen(function* () {
        const warnings: Array<unknown> = []
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          warnings.push([logLevel, message])
        })
        const remaining = Deadline.fromHeaders({ "x-request-deadline": value, "grpc-timeout": value })(left)
        expect(yield* Effect.provide(remaining, Logger.layer([logger]))).toBe(undefined)
        expect(JSON.stringify(warnings)).toContain("Warn")
        expect(JSON.stringify(warnings)).toContain("x-request-deadline")
        expect(JSON.stringify(warnings)).toContain("grpc-timeout")
      })
  )

  /** Models grpc-timeout as what was left: never more, and less by at most one part in a hundred thousand. */
  it("say what is left to gRPC's precision", () =>
    fc.assert(
      fc.asyncProperty(fc.double({ min: 0.001, max: 1e11, noNaN: true }), async (millis) => {
        const program = Effect.gen(function* () {
          const sent = yield* Deadline.within(millis)(Deadline.headers())
          const timeout = sent["grpc-timeout"] ?? ""
          return [timeout, yield* Deadline.fromHeaders({ "grpc-timeout": timeout })(left)] as const
        })
        const [timeout, remaining = 0] = await Effect.runPromise(
          Effect.scoped(Effect.provide(program, TestClock.layer()))
        )
        return /^\d{1,8}[HMSmu]$/.test(timeout) && remaining <= millis + 1e-3 && remaining >= millis * (1 - 1e-5) - 2e-3
      })
    ))
})
