import { describe, expect, it } from "@effect/vitest"
import { RateLimiter, RateLimitHeaders } from "@sluice/rate-limiter"
import { RateLimitLearner } from "@sluice/rate-limiter/learner"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"

const now = Date.UTC(2026, 0, 2, 3, 4, 5)
const parse = (headers: RateLimitHeaders.HeadersInput) => {
  const { limits, policies, retryAfter } = RateLimitHeaders.parseUnsafe(headers, now)
  const seconds = (duration: Duration.Duration | undefined) =>
    duration === undefined ? undefined : Duration.toSeconds(duration)
  return {
    policies: policies.map(({ name, quota, unit, window }) => [name, quota, seconds(window), unit]),
    limits: limits.map(({ name, remaining, resetAfter }) => [name, remaining, seconds(resetAfter)]),
    retryAfter: seconds(retryAfter)
  }
}

describe("RateLimitHeaders.parse", () => {
  it("reads the structured fields", () => {
    expect(
      parse({
        "RateLimit-Policy": '"burst";q=100;w=60,"daily";q=1000;w=86400;qu="content-bytes";pk=:cHsdsRa894==:',
        RateLimit: '"burst";r=50;t=30 , "daily";r=7;x=?1;y=tok/en;z="a\\"b"'
      })
    ).toEqual({
      policies: [
        ["burst", 100, 60, undefined],
        ["daily", 1000, 86_400, "content-bytes"]
      ],
      limits: [
        ["burst", 50, 30],
        ["daily", 7, undefined]
      ],
      retryAfter: undefined
    })
  })

  it.each([
    [{ RateLimit: "limit=100, remaining=50, reset=5" }, "default", 100, 50, 5],
    [{ "RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "9", "RateLimit-Reset": "7" }, "default", 100, 9, 7],
    [{ "X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "59", "X-RateLimit-Reset": "12" }, "default", 60, 59, 12],
    [
      { "x-rate-limit-limit": "60", "x-rate-limit-remaining": "0", "x-rate-limit-reset": String(now / 1000 + 90) },
      "default",
      60,
      0,
      90
    ],
    [
      { "x-ratelimit-limit": "60", "x-ratelimit-remaining": "1", "x-ratelimit-reset": String(now + 1500) },
      "default",
      60,
      1,
      1.5
    ],
    [
      {
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6m0.5s"
      },
      "tokens",
      150_000,
      149_984,
      360.5
    ],
    [
      {
        "x-ratelimit-limit": "5",
        "x-ratelimit-remaining": "4",
        "x-ratelimit-reset": "2026-01-02T03:04:15Z"
      },
      "default",
      5,
      4,
      10
    ]
  ] as const)("reads the older form %j", (headers, name, quota, remaining, reset) => {
    const { limits, policies } = parse(headers)
    expect(limits).toEqual([[name, remaining, reset]])
    expect(policies[0]?.slice(0, 2)).toEqual([name, quota])
  })

  it.each([
    ["120", 120],
    ["0", 0],
    ["Fri, 02 Jan 2026 03:05:05 GMT", 60],
    ["Fri, 02 Jan 2026 03:00:00 GMT", 0],
    ["-1", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["99999999999999999999", undefined]
  ] as const)("reads Retry-After: %s", (value, seconds) => {
    expect(parse({ "retry-after": value }).retryAfter).toBe(seconds)
  })

  it("reads a web Headers, in any case", () => {
    expect(parse(new Headers({ RATELIMIT: '"a";r=1' })).limits).toEqual([["a", 1, undefined]])
  })

  it.each([
    '"a";r=-1',
    '"a"',
    "a b;r=1",
    '"a";r=1,',
    '"a";r="1"',
    '"a;r=1',
    '"ä";r=1',
    '"a";R=1',
    ":%%:;r=1",
    '"a";r=1;;',
    '"a";r=1234567890123456',
    "\0"
  ])("passes over what is malformed: %j", (field) => {
    expect(parse({ ratelimit: field })).toEqual({ policies: [], limits: [], retryAfter: undefined })
  })

  it("reads whatever it is given without failing, in time that does not explode", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary-ascii", maxLength: 200 }),
      fc.constantFrom('"\\'.repeat(5000), "1s".repeat(5000), ";a".repeat(5000))
    )
    const field = fc.constantFrom(
      "ratelimit",
      "ratelimit-policy",
      "x-ratelimit-reset",
      "x-ratelimit-limit",
      "retry-after"
    )
    fc.assert(
      fc.property(fc.dictionary(field, text), (headers) => {
        for (const { remaining } of RateLimitHeaders.parseUnsafe(headers, now).limits) {
          expect(remaining).toBeGreaterThanOrEqual(0)
        }
      })
    )
  })
})

describe("RateLimitHeaders.write", () => {
  const name = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    maxLength: 12
  })
  const key = fc.option(fc.uint8Array({ maxLength: 8 }), { nil: undefined })
  const wholeSeconds = fc.option(
    fc.integer({ min: 0, max: 1e6 }).map((seconds) => Duration.seconds(seconds)),
    { nil: undefined }
  )
  const report: fc.Arbitrary<RateLimitHeaders.Report> = fc.record({
    policies: fc.array(
      fc.record({
        name,
        quota: fc.nat(),
        window: wholeSeconds,
        unit: fc.option(name, { nil: undefined }),
        partitionKey: key
      }),
      { minLength: 1, maxLength: 3 }
    ),
    limits: fc.array(fc.record({ name, remaining: fc.nat(), resetAfter: wholeSeconds, partitionKey: key }), {
      maxLength: 3
    }),
    retryAfter: wholeSeconds
  })

  /** Models writing and reading as inverses. */
  it("writes what is read again", () => {
    const plain = ({ limits, policies, retryAfter }: RateLimitHeaders.Report) => {
      const millis = (duration: Duration.Duration | undefined) => duration && Duration.toMillis(duration)
      const bytes = (of: Uint8Array | undefined) => of && [...of]
      return {
        policies: policies.map((of) => ({ ...of, window: millis(of.window), partitionKey: bytes(of.partitionKey) })),
        limits: limits.map((of) => ({
          ...of,
          resetAfter: millis(of.resetAfter),
          partitionKey: bytes(of.partitionKey)
        })),
        retryAfter: millis(retryAfter)
      }
    }
    fc.assert(
      fc.property(report, (written) => {
        expect(plain(RateLimitHeaders.parseUnsafe(RateLimitHeaders.write(written), now))).toEqual(plain(written))
      })
    )
  })

  it.effect("writes a decision, rounded so that nobody comes too early", () =>
    Effect.gen(function* () {
      const config = { limit: 10, interval: "15 seconds" } as const
      const limiter = yield* RateLimiter.make(config)
      yield* limiter.tryTake(9.5)
      const decision = yield* limiter.tryTake()
      const report = RateLimitHeaders.fromDecision("default", config, decision)
      expect(RateLimitHeaders.write(report)).toEqual({
        "ratelimit-policy": '"default";q=10;w=15',
        ratelimit: '"default";r=0;t=15',
        "retry-after": "1"
      })
      expect(RateLimitHeaders.writeLegacy(report)).toEqual({
        "x-ratelimit-limit": "10",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "15",
        "retry-after": "1"
      })
      expect(RateLimitHeaders.writeLegacy(report, { reset: { epochAtMillis: now } })).toMatchObject({
        "x-ratelimit-reset": String(now / 1000 + 15)
      })
    })
  )

  it("names each limit in the older form where there are several", () => {
    const fields = RateLimitHeaders.writeLegacy({
      policies: [{ name: "requests", quota: 5 }],
      limits: [{ name: "Input Tokens", remaining: 7.9, resetAfter: Duration.millis(1) }]
    })
    expect(fields).toEqual({
      "x-ratelimit-limit-requests": "5",
      "x-ratelimit-remaining-input-tokens": "7",
      "x-ratelimit-reset-input-tokens": "1"
    })
  })

  it("refuses a name that no header can hold", () => {
    expect(() => RateLimitHeaders.write({ policies: [{ name: "a\nb", quota: 1 }], limits: [] })).toThrow('"a\\nb"')
  })
})

describe("RateLimitLearner.make", () => {
  /** A server with a fixed window, which tells its limit in every answer. */
  const makeServer = (quota: number, windowMillis: number, style: "structured" | "older") => {
    let start = 0
    let used = 0
    const served: Array<number> = []
    let refused = 0
    const call = Effect.map(Clock.currentTimeMillis, (at) => {
      if (at >= start + windowMillis) {
        start = Math.floor(at / windowMillis) * windowMillis
        used = 0
      }
      const isAllowed = used < quota
      if (isAllowed) {
        used++
        served.push(at)
      } else refused++
      const report = {
        policies: [{ name: "default", quota, window: Duration.millis(windowMillis) }],
        limits: [{ name: "default", remaining: quota - used, resetAfter: Duration.millis(start + windowMillis - at) }],
        retryAfter: isAllowed ? undefined : Duration.millis(start + windowMillis - at)
      }
      return style === "structured" ? RateLimitHeaders.write(report) : RateLimitHeaders.writeLegacy(report)
    })
    return { call, served, refused: () => refused }
  }

  for (const style of ["structured", "older"] as const) {
    it.effect(`keeps to the limit of a server that it knew nothing of, and uses it up: ${style} headers`, () =>
      Effect.gen(function* () {
        const server = makeServer(20, 10_000, style)
        const learner = yield* RateLimitLearner.make()
        const call = learner.pace((headers: Readonly<Record<string, string>>) => headers)(
          Effect.andThen(Effect.sleep("50 millis"), server.call)
        )
        const fiber = yield* Effect.forkChild(
          Effect.andThen(
            call,
            Effect.forEach(Array.from({ length: 100 }), () => call, { concurrency: 5 })
          )
        )
        yield* TestClock.adjust("60 seconds")
        yield* Fiber.join(fiber)
        expect(server.refused()).toBe(0)
        expect(server.served.length).toBe(101)
        expect(server.served.at(-1)).toBeLessThan(57_000)
        // Spread over the window, not all at its beginning.
        const inSecondHalf = server.served.filter((at) => at % 10_000 >= 5000).length
        expect(inSecondHalf).toBeGreaterThan(30)
      })
    )
  }

  it.effect("sends requests as they come where the burst is all", () =>
    Effect.gen(function* () {
      const learner = yield* RateLimitLearner.make({ burst: 1 })
      yield* learner.observe({ ratelimit: '"a";r=3;t=60' })
      const log: Array<number> = []
      const fiber = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4], () =>
          Effect.andThen(
            learner.take(),
            Effect.map(Clock.currentTimeMillis, (at) => void log.push(at))
          )
        )
      )
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(fiber)
      expect(log).toEqual([0, 0, 0, 60_000])
    })
  )

  it.effect("holds everything back until Retry-After, those who wait already too", () =>
    Effect.gen(function* () {
      const learner = yield* RateLimitLearner.make()
      yield* learner.observe({ ratelimit: '"a";r=0;t=1' })
      const waiting = yield* Effect.forkChild(Effect.andThen(learner.take(), Clock.currentTimeMillis), {
        startImmediately: true
      })
      yield* learner.observe({ "retry-after": "30" })
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(waiting)).toBe(30_000)
    })
  )

  it.effect("refuses at once who would have to wait for too long, and whose wait becomes too long", () =>
    Effect.gen(function* () {
      const learner = yield* RateLimitLearner.make()
      yield* learner.observe({ ratelimit: '"a";r=0;t=5' })
      expect((yield* Effect.flip(learner.take(1, { maxWait: "4 seconds" })))._tag).toContain("RateLimitExceeded")
      const waiting = yield* Effect.forkChild(learner.take(1, { maxWait: "6 seconds" }), { startImmediately: true })
      yield* learner.observe({ "retry-after": "30" })
      yield* TestClock.adjust("1 second")
      expect(Exit.isFailure(yield* Fiber.await(waiting))).toBe(true)
      expect(learner.statsUnsafe()).toMatchObject({ waiting: 0, rejected: 2 })
    })
  )

  it.effect("counts costs by the name of the limit", () =>
    Effect.gen(function* () {
      const learner = yield* RateLimitLearner.make({ burst: 1 })
      yield* learner.observe({ ratelimit: '"requests";r=10;t=60, "tokens";r=1000;t=60' })
      yield* learner.take({ requests: 1, tokens: 800 })
      expect(learner.statsUnsafe().remaining).toEqual({ requests: 9, tokens: 200 })
      const error = yield* Effect.flip(learner.take({ requests: 1, tokens: 800 }, { maxWait: 0 }))
      expect(error.cost).toBe(800)
      yield* learner.take({ requests: 1 }, { maxWait: 0 })
    })
  )

  it.effect("lets an answer that comes late give nothing back", () =>
    Effect.gen(function* () {
      const learner = yield* RateLimitLearner.make()
      yield* learner.observe({ ratelimit: '"a";r=3;t=60' })
      yield* learner.observe({ ratelimit: '"a";r=9;t=60' })
      expect(learner.statsUnsafe().remaining).toEqual({ a: 3 })
      yield* TestClock.adjust("30 seconds")
      yield* learner.observe({ ratelimit: '"a";r=9;t=60' })
      expect(learner.statsUnsafe().remaining).toEqual({ a: 9 })
    })
  )

  it("refuses a burst that is no share", () => {
    expect(() => RateLimitLearner.makeUnsafe({ burst: 2 })).toThrow("burst 2")
  })
})
