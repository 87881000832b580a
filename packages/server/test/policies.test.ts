// What an admission does besides rates and classes: names, counts, deadlines, bodies,
// and the limit over all.

import { describe, expect, it } from "@effect/vitest"
import { Registry } from "@sluice/metrics"
import { RateLimiter } from "@sluice/rate-limiter"
import { Deadline } from "@sluice/retry"
import { AdaptiveLimit } from "@sluice/semaphore"
import { Admission } from "@sluice/server"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Scope, Stream } from "effect"
import { HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { bodyOf, ok, send, sendStream } from "./support/requests.ts"

const one = { high: { permits: 1 } }
const start = { startImmediately: true } as const

describe("a request's id", () => {
  it.effect("is made where there is none that can be kept, told in the response, and known to the handler", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: one })
      const handler = admission.admit("high")(
        Effect.map(Admission.RequestId, (id) => HttpServerResponse.text(String(id)))
      )
      const seen = new Set<string>()
      for (const sent of [undefined, "", "a b", "x".repeat(200), "<script>", "line\tbreak"]) {
        const response = yield* send(handler, sent === undefined ? {} : { headers: { "x-request-id": sent } })
        const id = response.headers["x-request-id"]
        expect(id).toMatch(/^[0-9a-f]{16}-[0-9a-z]+$/)
        expect(yield* Effect.promise(() => HttpServerResponse.toWeb(response).text())).toBe(id)
        seen.add(id ?? "")
      }
      expect(seen.size).toBe(6)
      const kept = yield* send(handler, { headers: { "x-request-id": "trace:1/2" } })
      expect(kept.headers["x-request-id"]).toBe("trace:1/2")
      expect(yield* Admission.RequestId).toBeUndefined()
    })
  )

  it.effect("stands under another name, is never taken over, or is left out, as one likes", () =>
    Effect.gen(function* () {
      const named = yield* Admission.make({ classes: one, requestId: { header: "X-Correlation-Id", accept: false } })
      const response = yield* send(named.admit("high")(ok), { headers: { "x-correlation-id": "mine" } })
      expect(response.headers["x-correlation-id"]).toMatch(/^[0-9a-f]{16}-0$/)
      const without = yield* Admission.make({ classes: one, requestId: false })
      expect((yield* send(without.admit("high")(ok))).headers["x-request-id"]).toBeUndefined()
    })
  )

  it("stands in the answer to a failure too", async () => {
    const routes = Layer.unwrap(
      Effect.map(Admission.make({ classes: one, rateLimit: { limit: 5, interval: "1 minute" } }), (admission) =>
        HttpRouter.add("GET", "/", admission.admit("high")(Effect.die("a defect")))
      )
    )
    const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
    const response = await handler(new Request("http://localhost/"))
    expect(response.status).toBe(500)
    expect(response.headers.get("x-request-id")).toMatch(/-0$/)
    expect(response.headers.get("ratelimit")).toBe('"default";r=4;t=12')
    expect(await response.json()).toMatchObject({
      status: 500,
      detail: "The request failed here. It is not known why."
    })
    await dispose()
  })
})

describe("the counts of an admission", () => {
  it.effect("tell of each class how requests ended, how long they took, and what is in use", () =>
    Effect.gen(function* () {
      const registry = yield* Registry.make()
      const admission = yield* Admission.make({ classes: { high: { permits: 2 }, low: { permits: 0 } }, registry })
      const inHigh = (self: typeof ok) => send(admission.admit("high")(self))
      yield* inHigh(ok)
      yield* inHigh(Effect.succeed(HttpServerResponse.empty({ status: 404 })))
      yield* Effect.exit(send(admission.admit("high")(Effect.fail("no"))))
      yield* send(admission.admit("low")(ok))
      yield* send(admission.exempt(ok))
      const slow = yield* Effect.forkChild(send(admission.admit("high")(Effect.delay(ok, "2 seconds"))), start)
      const stuck = yield* Effect.forkChild(send(admission.admit("high")(Effect.never)), start)
      const metricOf = (name: string) => registry.snapshotUnsafe().find((metric) => metric.name === name)
      const figuresOf = (name: string) => {
        const metric = metricOf(name)
        return metric?.type === "gauge" || metric?.type === "counter" ? metric.series : []
      }
      expect(figuresOf("server_permits_held").map(({ labels, value }) => [labels["class"], value])).toEqual([
        ["high", 2],
        ["low", 0]
      ])
      expect(figuresOf("server_requests_active").map(({ value }) => value)).toEqual([2])
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(slow)
      yield* Fiber.interrupt(stuck)
      const counts = Object.fromEntries(
        figuresOf("server_requests_total").flatMap(({ labels, value }) =>
          value === 0 ? [] : [[`${labels["class"]} ${labels["outcome"]}`, value]]
        )
      )
      expect(counts).toEqual({
        "high 2xx": 2,
        "high 4xx": 1,
        "high error": 1,
        "high interrupted": 1,
        "low full": 1,
        "exempt 2xx": 1
      })
      const seconds = metricOf("server_request_seconds")
      const high =
        seconds?.type === "histogram" ? seconds.series.find(({ labels }) => labels["class"] === "high") : undefined
      expect(high?.value).toMatchObject({ count: 5, max: 2 })
    })
  )
})

describe("a deadline", () => {
  it.effect("that came with a request is known to the handler, and interrupts it", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: { high: { permits: 1, maxWaiting: 1 } } })
      let left: unknown
      let isInterrupted = false
      const handler = admission.admit("high")(
        Deadline.remaining.pipe(
          Effect.tap((remaining) => Effect.sync(() => (left = Option.getOrUndefined(remaining)))),
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Effect.sync(() => (isInterrupted = true)))
        )
      )
      const running = yield* Effect.forkChild(send(handler, { headers: { "grpc-timeout": "5S" } }), start)
      const waiting = yield* Effect.forkChild(send(handler, { headers: { "x-request-deadline": "3000" } }), start)
      expect(String(left)).toBe("5000 millis")
      yield* TestClock.adjust("3 seconds")
      const late = yield* Fiber.join(waiting)
      expect([late.status, late.headers["retry-after"]]).toEqual([503, "1"])
      expect(yield* bodyOf(late)).toMatchObject({
        detail: "The request could not be answered before its deadline. Please try again later."
      })
      expect(admission.statsUnsafe()).toMatchObject({ late: 1, active: 1, classes: { high: { waiting: 0 } } })
      yield* TestClock.adjust("2 seconds")
      expect((yield* Fiber.join(running)).status).toBe(503)
      expect(isInterrupted).toBe(true)
      expect(admission.statsUnsafe()).toMatchObject({ late: 2, active: 0, classes: { high: { held: 0 } } })
    })
  )

  it.effect("that has passed is answered before anything is done", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(10_000)
      const admission = yield* Admission.make({ classes: one })
      let ran = 0
      const handler = admission.admit("high")(Effect.tap(ok, () => Effect.sync(() => ran++)))
      const statuses = yield* Effect.forEach(
        ["9000", "1970-01-01T00:00:09Z", "11000", "nonsense", "", "9999999999999999999"],
        (deadline) => Effect.map(send(handler, { headers: { "x-request-deadline": deadline } }), ({ status }) => status)
      )
      expect(statuses).toEqual([503, 503, 200, 200, 200, 200])
      expect(ran).toBe(4)
    })
  )

  it.effect("that the handler heeds by itself is answered in the same way, and other failures are let through", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: { high: { permits: 1, timeout: "1 minute" } } })
      const impatient = admission.admit("high")(Deadline.within("1 second")(Effect.never))
      const running = yield* Effect.forkChild(send(impatient), start)
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(running)).status).toBe(503)
      expect(yield* Effect.flip(send(admission.admit("high")(Effect.fail("no"))))).toBe("no")
    })
  )

  it.effect("is set by the class where none came, and can be ignored", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { high: { permits: 1, timeout: "2 seconds" } },
        deadline: false
      })
      const running = yield* Effect.forkChild(
        send(admission.admit("high")(Effect.never), { headers: { "grpc-timeout": "1S" } }),
        start
      )
      yield* TestClock.adjust("1 second")
      expect(running.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(running)).status).toBe(503)
    })
  )
})

describe("a body", () => {
  const echo = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    return HttpServerResponse.text(yield* request.text)
  })
  const streamed = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const size = yield* Stream.runFold(
      request.stream,
      () => 0,
      (sum, chunk) => sum + chunk.length
    )
    return HttpServerResponse.text(String(size))
  })
  const bytes = (length: number) => new Uint8Array(length).fill(97)

  it.effect("may be as large as it is allowed to be, and no larger, however it comes and is read", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { high: { permits: 1 }, uploads: { permits: 1, maxBodySize: 100 } },
        body: { maxSize: 10 }
      })
      for (const handler of [echo, streamed]) {
        const high = admission.admit("high")(handler)
        expect((yield* send(high, { method: "POST", body: "x".repeat(10) })).status).toBe(200)
        const chunks = Stream.make(bytes(6), bytes(6))
        const chunked = yield* sendStream(high, chunks)
        expect(chunked.status).toBe(413)
        expect(chunked.headers["connection"]).toBe("close")
        expect(yield* bodyOf(chunked)).toMatchObject({ detail: "The body of the request is too large." })
        const swallowed = admission.admit("high")(Effect.catch(handler, () => ok))
        expect((yield* sendStream(swallowed, chunks)).status).toBe(413)
        expect((yield* sendStream(admission.admit("uploads")(handler), chunks)).status).toBe(200)
      }
      expect(admission.statsUnsafe()).toMatchObject({ oversized: 4, active: 0 })
    })
  )

  it.effect("that is announced as too large is refused before the handler runs", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: one, body: { maxSize: 10 } })
      const handler = admission.admit("high")(Effect.die("ran"))
      const response = yield* send(handler, { method: "PUT", headers: { "content-length": "11" }, body: "x" })
      expect(response.status).toBe(413)
    })
  )

  it.effect("has so long to come, from when it is asked for", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: { high: { permits: 2 } }, body: { timeout: "3 seconds" } })
      const dripping = Stream.tick("1 second").pipe(Stream.as(bytes(1)), Stream.concat(Stream.never))
      const slow = yield* Effect.forkChild(sendStream(admission.admit("high")(streamed), dripping), start)
      const never = yield* Effect.forkChild(sendStream(admission.admit("high")(echo), Stream.never), start)
      yield* TestClock.adjust("3 seconds")
      for (const fiber of [slow, never]) {
        const response = yield* Fiber.join(fiber)
        expect(response.status).toBe(408)
        expect(yield* bodyOf(response)).toMatchObject({ detail: "The body of the request did not come in time." })
      }
      expect(admission.statsUnsafe()).toMatchObject({ slow: 2, active: 0 })
    })
  )
})

describe("a response that is a stream", () => {
  it.effect("holds its permit until its last byte is out, or the client is gone", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: one })
      const handler = admission.admit("high")(Effect.succeed(HttpServerResponse.stream(Stream.never)))
      const scope = yield* Scope.make()
      const response = yield* Scope.provide(send(handler), scope)
      expect(response.status).toBe(200)
      expect(admission.statsUnsafe()).toMatchObject({ active: 1, classes: { high: { held: 1 } } })
      expect((yield* send(handler)).status).toBe(503)
      const drained = yield* Effect.forkChild(admission.drain, start)
      expect(drained.pollUnsafe()).toBeUndefined()
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(drained)
      expect(admission.statsUnsafe()).toMatchObject({ active: 0, classes: { high: { held: 0 } } })
    })
  )

  it("holds it until the end through a fetch handler too", async () => {
    const gate = Deferred.makeUnsafe<void>()
    const admission = await Effect.runPromise(Admission.make({ classes: one }))
    const body = Stream.concat(Stream.make("one "), Stream.fromEffect(Effect.as(Deferred.await(gate), "two")))
    const handle = HttpEffect.toWebHandler(
      admission.admit("high")(Effect.succeed(HttpServerResponse.stream(Stream.encodeText(body))))
    )
    const response = await handle(new Request("http://localhost/"))
    expect(admission.statsUnsafe().active).toBe(1)
    Deferred.doneUnsafe(gate, Effect.void)
    expect(await response.text()).toBe("one two")
    await Effect.runPromise(admission.drain)
    expect(admission.statsUnsafe().active).toBe(0)
  })
})

describe("the limit over all classes", () => {
  const fixed = (limit: number) => AdaptiveLimit.aimd({ initial: limit, min: limit, max: limit })

  it.effect("sheds the least urgent first, and lets the urgent go before the others", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: {
          high: { permits: 100 },
          medium: { permits: 100, priority: 1 },
          controlled: { permits: 100, priority: 2 }
        },
        adaptive: { algorithm: fixed(1), maxWaiting: 6 }
      })
      const order: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const enter = (name: "high" | "medium" | "controlled") =>
        Effect.forkChild(
          send(
            admission.admit(name)(
              Effect.suspend(() => {
                order.push(name)
                return Effect.andThen(Deferred.await(gate), ok)
              })
            )
          ),
          start
        )
      const fibers = [yield* enter("high")]
      // A third of the line for the least urgent, two thirds for the next, all of it for the most urgent.
      for (const name of ["controlled", "medium", "high"] as const) {
        for (let count = 0; count < 4; count++) fibers.push(yield* enter(name))
      }
      const shed = fibers.map((fiber) => fiber.pollUnsafe() !== undefined)
      const isShed = (from: number) => shed.slice(from, from + 4)
      expect(isShed(1)).toEqual([false, false, true, true])
      expect(isShed(5)).toEqual([false, false, true, true])
      expect(isShed(9)).toEqual([false, false, true, true])
      expect(admission.statsUnsafe()).toMatchObject({ adaptive: { held: 1, waiting: 6, rejected: 6 }, active: 7 })
      yield* Deferred.succeed(gate, undefined)
      const statuses = (yield* Effect.forEach(fibers, Fiber.join)).map(({ status }) => status)
      expect(statuses.filter((status) => status === 200)).toHaveLength(7)
      expect(order).toEqual(["high", "high", "high", "medium", "medium", "controlled", "controlled"])
      expect(admission.statsUnsafe()).toMatchObject({ active: 0, adaptive: { held: 0, waiting: 0 } })
    })
  )

  it.effect("refuses whoever has waited too long", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { high: { permits: 9 } },
        adaptive: { algorithm: fixed(1), maxWaiting: 1, maxWait: "1 second" },
        retryAfter: "4 seconds"
      })
      const running = yield* Effect.forkChild(send(admission.admit("high")(Effect.never)), start)
      const waiting = yield* Effect.forkChild(send(admission.admit("high")(ok)), start)
      yield* TestClock.adjust("1 second")
      const refused = yield* Fiber.join(waiting)
      expect([refused.status, refused.headers["retry-after"]]).toEqual([503, "4"])
      yield* Fiber.interrupt(running)
      expect((yield* send(admission.admit("high")(ok))).status).toBe(200)
      expect(admission.statsUnsafe()).toMatchObject({ active: 0, adaptive: { held: 0, waiting: 0, rejected: 1 } })
    })
  )

  it.effect("falls with responses that tell of overload, and with deadlines that pass", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { high: { permits: 100, timeout: "1 second" } },
        adaptive: {
          algorithm: AdaptiveLimit.aimd({ initial: 20, max: 20, backoff: 0.5 }),
          minSamples: 1,
          window: "1 second"
        }
      })
      const overloaded = admission.admit("high")(Effect.succeed(HttpServerResponse.empty({ status: 503 })))
      yield* send(overloaded)
      yield* TestClock.adjust("2 seconds")
      yield* send(admission.admit("high")(ok))
      expect(admission.statsUnsafe().adaptive).toMatchObject({ capacity: 10, dropped: 1 })
      const stuck = yield* Effect.forkChild(send(admission.admit("high")(Effect.never)), start)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stuck)
      expect(admission.statsUnsafe().adaptive).toMatchObject({ dropped: 2, held: 0 })
    })
  )

  it.effect("lets the handler's own failures through", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: one, adaptive: { algorithm: fixed(1) } })
      const failing = admission.admit("high")(Effect.fail("no"))
      expect(yield* Effect.flip(send(failing))).toBe("no")
      expect(admission.statsUnsafe()).toMatchObject({ active: 0, adaptive: { held: 0 } })
    })
  )
})

describe("liveness", () => {
  it.effect("is never shed, as a handler or by a middleware over all", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { high: { permits: 0 } },
        rateLimit: { limit: 1, interval: "1 hour" }
      })
      const all = admission.middleware(({ url }) => (url.startsWith("/health") ? undefined : "high"))(ok)
      expect((yield* send(all)).status).toBe(503)
      expect((yield* send(all)).status).toBe(429)
      yield* admission.drain
      expect((yield* send(all)).status).toBe(503)
      expect((yield* send(all, { url: "http://localhost/health/live" })).status).toBe(200)
      expect((yield* send(admission.exempt(ok))).headers["x-request-id"]).toBeDefined()
    })
  )

  it("is not shed behind a global middleware of a router", async () => {
    const routes = Layer.unwrap(
      Effect.map(Admission.make({ classes: { high: { permits: 0 } } }), (admission) =>
        Layer.mergeAll(
          HttpRouter.add("GET", "/live", ok),
          HttpRouter.add("GET", "/other", ok),
          HttpRouter.middleware(
            admission.middleware(({ url }) => (url === "/live" ? undefined : "high")),
            { global: true }
          )
        )
      )
    )
    const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
    const statuses = await Promise.all(
      ["live", "other", "nowhere"].map(async (path) => (await handler(new Request(`http://localhost/${path}`))).status)
    )
    expect(statuses).toEqual([200, 503, 503])
    await dispose()
  })
})

describe("a rate that is decided elsewhere", () => {
  it.effect("is told as if it were decided here", () =>
    Effect.gen(function* () {
      const limit = { limit: 2, interval: "1 minute" } as const
      const shared = yield* RateLimiter.make(limit)
      const clients: Array<string> = []
      const limiter: Admission.ClientLimiter = {
        tryTake: (client) => {
          clients.push(client)
          return Effect.delay(shared.tryTake(), "10 millis")
        }
      }
      const worker = () => Admission.make({ classes: one, rateLimit: { ...limit, limiter } })
      const [first, second] = [yield* worker(), yield* worker()]
      const answers = yield* Effect.forkChild(
        Effect.forEach([first, second, first], (admission) => send(admission.admit("high")(ok)))
      )
      yield* TestClock.adjust("30 millis")
      const responses = yield* Fiber.join(answers)
      expect(responses.map(({ status }) => status)).toEqual([200, 200, 429])
      expect(responses[2]?.headers).toMatchObject({ "retry-after": "30", ratelimit: '"default";r=0;t=60' })
      expect(clients).toEqual(["unknown", "unknown", "unknown"])
    })
  )
})

describe("a handler that is a response already", () => {
  it.effect("is treated as any other", () =>
    Effect.gen(function* () {
      const scenario = (handler: typeof ok) =>
        Effect.gen(function* () {
          const registry = yield* Registry.make()
          const admission = yield* Admission.make({
            classes: {
              high: { permits: 1, maxWaiting: 1 },
              closed: { permits: 0 },
              timed: { permits: 1, timeout: "1 second" }
            },
            rateLimit: { limit: 8, interval: "1 hour" },
            body: { maxSize: 10 },
            registry
          })
          const high = admission.admit("high")(handler)
          const answers = [
            yield* send(high),
            yield* send(high, { headers: { "x-request-id": "mine", "grpc-timeout": "1S" } }),
            yield* send(high, { headers: { "x-request-deadline": "-1", "grpc-timeout": "0S" } }),
            yield* send(high, { method: "POST", body: "x".repeat(11), headers: { "content-length": "11" } }),
            yield* send(admission.admit("closed")(handler)),
            yield* send(admission.admit("timed")(handler)),
            yield* send(admission.exempt(handler))
          ]
          const running = yield* Effect.forkChild(send(admission.admit("high")(Effect.delay(ok, "1 second"))), start)
          const waiting = yield* Effect.forkChild(send(high), start)
          yield* TestClock.adjust("1 second")
          answers.push(yield* Fiber.join(running), yield* Fiber.join(waiting), yield* send(high))
          yield* admission.drain
          answers.push(yield* send(high), yield* send(admission.exempt(handler)))
          const counts = registry.snapshotUnsafe().find(({ name }) => name === "server_requests_total")
          return {
            answers: answers.map(({ headers, status }) => [
              status,
              { ...headers, "x-request-id": headers["x-request-id"]?.replace(/^[0-9a-f]{16}/, "") }
            ]),
            stats: admission.statsUnsafe(),
            counts: counts?.type === "counter" ? counts.series.map(({ labels, value }) => [labels, value]) : undefined
          }
        })
      const ready = yield* scenario(ok)
      expect(ready).toEqual(yield* scenario(Effect.andThen(Effect.void, ok)))
      expect(ready.answers.map(([status]) => status)).toEqual([
        200, 200, 503, 413, 503, 200, 200, 200, 200, 429, 503, 200
      ])
    })
  )
})

describe("options that make no sense", () => {
  it.effect("are told of when the admission is made", () =>
    Effect.gen(function* () {
      const messageOf = (options: Admission.Options<"high">) =>
        Effect.map(Effect.exit(Admission.make(options)), (exit) => (Exit.isFailure(exit) ? String(exit.cause) : "made"))
      const permits = 1
      expect(yield* messageOf({ classes: { high: { permits, maxWaiting: -1 } } })).toContain("maxWaiting -1")
      expect(yield* messageOf({ classes: { high: { permits, priority: 16 } } })).toContain("priority 16")
      expect(yield* messageOf({ classes: { high: { permits, maxBodySize: -1 } } })).toContain("maxBodySize -1")
      expect(yield* messageOf({ classes: one, body: { maxSize: 0.5 } })).toContain("0.5")
      const adaptive = { algorithm: AdaptiveLimit.aimd(), maxWaiting: -1 }
      expect(yield* messageOf({ classes: one, adaptive })).toContain("maxWaiting of -1")
    })
  )
})
