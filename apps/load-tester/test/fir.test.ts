import { describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Fiber } from "effect"
import * as fc from "fast-check"
import { Complaints, Concurrency, Session, Text } from "../src/index.ts"
import { type Behaviour, fakeServer } from "./fakeServer.ts"

const run = (behaviour: Behaviour, options: Partial<Concurrency.Options> = {}) =>
  Effect.gen(function* () {
    const server = yield* fakeServer(behaviour)
    const { client } = yield* HttpPool.make({ maxConnections: 50 })
    const target: Session.Target = { client, url: server.url, apiKey: behaviour.apiKey }
    const done: Array<number> = []
    const prepared = Concurrency.prepare(
      target,
      { complaints: Complaints.builtIn(4), requests: 10, concurrency: 10, timeoutSeconds: 20, ...options },
      (detail) => Effect.sync(() => void done.push(detail.request_id))
    )
    return { prepared, done, server, target }
  })

describe("the concurrency test", () => {
  it.live("counts a report as successful when it is complete and right", () =>
    Effect.gen(function* () {
      const { done, prepared } = yield* run({})
      yield* prepared.all
      const results = prepared.results(false)
      expect(results).toMatchObject({ num_requests: 10, successful: 10, failed: 0, errors: [] })
      expect(done.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      expect(results.request_details[0]).toMatchObject({ request_id: 1, success: true, error: null })
      expect(results.request_details[0]?.steps_completed).toEqual(Session.steps)
      expect(results.request_details[0]?.fir_number).toMatch(/^FIR-/)
      expect(Object.keys(results.duration_percentiles)).toEqual(["p50", "p90", "p95", "p99", "p100"])
    })
  )

  it.live("fails a report that is complete and wrong, and says what it lacks", () =>
    Effect.gen(function* () {
      const { prepared } = yield* run({ report: () => "A report about nobody. Section 1303(2)." }, { requests: 1 })
      yield* prepared.all
      expect(prepared.results(false).errors[0]).toMatch(
        /Request 1: content: the report FIR-.+ lacks the complainant Suresh Patil, the place Shivaji Market, Pune, section 303\(2\)/
      )
    })
  )

  it.live("keeps the steps that a failed report reached, and the rest of the run", () =>
    Effect.gen(function* () {
      const { prepared } = yield* run({ processStatus: (call) => (call === 3 ? 503 : 200) }, { concurrency: 1 })
      yield* prepared.all
      const results = prepared.results(false)
      expect(results).toMatchObject({ successful: 9, failed: 1 })
      expect(results.errors).toEqual([expect.stringContaining("Request 3: process: answered 503")])
      expect(results.request_details[2]?.steps_completed).toEqual([])
    })
  )

  it.live("gives a report up after its time, and says so", () =>
    Effect.gen(function* () {
      const { prepared } = yield* run({ stallsAt: (call) => call === 2 }, { requests: 1, timeoutSeconds: 0.3 })
      yield* prepared.all
      const [detail] = prepared.results(false).request_details
      expect(detail).toMatchObject({ success: false, error: "not complete within 0.3 s" })
      expect(detail?.steps_completed).toEqual(["process", "transcript_validation"])
    })
  )

  it.live("has as many at once as it was told", () =>
    Effect.gen(function* () {
      const { prepared, server } = yield* run({}, { requests: 30, concurrency: 4 })
      yield* prepared.all
      expect(server.mostAtOnce()).toBeLessThanOrEqual(4)
    })
  )

  it.live("sends the API key", () =>
    Effect.gen(function* () {
      const { prepared } = yield* run({ apiKey: "a key" }, { requests: 2 })
      yield* prepared.all
      expect(prepared.results(false).successful).toBe(2)
    })
  )

  it.live("has results of what was done when it is interrupted", () =>
    Effect.gen(function* () {
      const { done, prepared } = yield* run({ stallsAt: (call) => call > 10 }, { concurrency: 1 })
      const fiber = yield* Effect.forkChild(prepared.all)
      while (done.length < 2) yield* Effect.sleep("5 millis")
      yield* Fiber.interrupt(fiber)
      const results = prepared.results(true)
      expect(results).toMatchObject({ interrupted: true, successful: 2, failed: 8 })
      expect(Text.summary(results)).toContain("TEST INTERRUPTED")
    })
  )
})

describe("missing", () => {
  const complaint: Complaints.Complaint = {
    id: "x",
    language: "hi",
    text: "शिकायत",
    expect: { complainant: "रमेश यादव", place: "चौक बाज़ार", sections: ["303(2)", "49"] }
  }

  it("finds words across line breaks, in any script", () => {
    expect(Session.missing(complaint, "रमेश\n   यादव, चौक बाज़ार\nधारा 303(2), 49")).toEqual([])
  })

  it("does not take a part of a number for a section", () => {
    const lacking = Session.missing(complaint, "रमेश यादव चौक बाज़ार 1303(2) 3.49 490")
    expect(lacking).toEqual(["section 303(2)", "section 49"])
  })
})

describe("quantile", () => {
  /** Models nearest rank by its definition: the least value that at least that part of the values does not exceed. */
  it("is the least value that enough values do not exceed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true }), { minLength: 1 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (values, q) => {
          const sorted = [...values].sort((a, b) => a - b)
          const enough = (candidate: number) =>
            sorted.filter((value) => value <= candidate).length >= q * sorted.length - 1e-9
          return Concurrency.quantile(sorted, q) === sorted.find(enough)
        }
      )
    )
  })
})

describe("the text", () => {
  it.live("is that of the FIR testing guide", () =>
    Effect.gen(function* () {
      const { prepared, target } = yield* run({}, { requests: 2 })
      yield* prepared.all
      const health = Text.health(yield* Session.health(target))
      for (const line of ["Overall Status: healthy", "  Max Concurrent Model Calls: 10", "Database: connected"]) {
        expect(health.split("\n")).toContain(line)
      }
      const summary = Text.summary(prepared.results(false))
      for (const line of [
        "Concurrency Test Results",
        "Requests: 2",
        "Success Rate: 100.0%",
        "Request Duration Statistics:"
      ]) {
        expect(summary.split("\n")).toContain(line)
      }
      expect(summary).toContain("✅ TEST PASSED - System handled 2 concurrent requests")
    })
  )

  it.live("tells a step as it begins and as it ends, and the health of the servers", () =>
    Effect.gen(function* () {
      const { target } = yield* run({})
      const told: Array<string> = []
      const [complaint] = Complaints.builtIn(1)
      if (complaint === undefined) return yield* Effect.die("no complaint")
      yield* Session.run(target, complaint, Session.journal(), {
        begins: (step) => Effect.sync(() => void told.push(Text.stepBegins(step))),
        ended: (step) => Effect.sync(() => void told.push(Text.stepEnded(step, 1.5)))
      })
      expect(told).toHaveLength(12)
      expect(told.slice(0, 3)).toEqual([
        "2. Starting FIR processing...",
        "✅ Process step completed in 1.50s\n",
        "3. Validating transcript..."
      ])
      expect(Text.briefHealth(yield* Session.health(target)).split("\n")).toEqual([
        "Health Status: healthy",
        "  Model Server: healthy",
        "  ASR/OCR Server: unknown"
      ])
    })
  )

  it("tells the seconds of each step", () => {
    const steps = new Map([["process", 0.15] as const, ["final_review", 2.34] as const])
    const text = Text.breakdown({ total: 2.49, target: 30, steps, firNumber: "FIR-1", error: undefined })
    expect(text).toContain("  process                  :   0.15s")
    expect(text).toContain("Status: ✅ PASS")
  })
})

describe("the complaints", () => {
  it.effect("that are built in are all different", () =>
    Effect.sync(() => {
      const texts = Complaints.builtIn(12).map(({ text }) => text)
      expect(new Set(texts).size).toBe(12)
    })
  )

  it.effect("name the line of a file that is none", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Complaints.load(new URL("./fir.test.ts", import.meta.url).pathname))
      expect(error.message).toContain("line 1")
    })
  )

  it.effect("say which file is not there", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Complaints.load("/nowhere/complaints.jsonl"))
      expect(error.message).toContain("Cannot use /nowhere/complaints.jsonl")
    })
  )
})
