import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Limits from "../src/Limits.ts"
import * as Law from "../src/law/Law.ts"
import { Models, type ModelsApi, ModelTimeout, ModelUnavailable } from "../src/Models.ts"
import { answer } from "../src/model-server/rules.ts"
import { Pipeline } from "../src/Pipeline.ts"
import { type Request, type Task, taskOf } from "../src/Prompt.ts"
import * as PipelineLive from "../src/pipeline/layer.ts"
import * as Database from "../src/store/Database.ts"
import * as Telemetry from "../src/Telemetry.ts"

const law = Law.builtIn()
const complaint =
  "I, Ananya Sharma, daughter of Rajesh Sharma, state that on 14 March 2025 two men snatched my mobile phone near Moolchand, New Delhi and fled."

type Infer = (request: Request, task: Task, timeoutSeconds: number) => ReturnType<ModelsApi["infer"]>

/** The pipeline over models that answer as `infer` says; limits, store and clock are real or virtual, never slept on. */
const over = (infer: Infer, limits: { readonly reports?: number; readonly waitingReports?: number } = {}) =>
  PipelineLive.layer({
    law,
    inferenceTimeoutSeconds: 60,
    clauseCheckTimeoutSeconds: 8,
    sessionTimeoutSeconds: 3600,
    duplicateWindowSeconds: 3600
  }).pipe(
    Layer.provide(
      Layer.effect(
        Models,
        Effect.map(Limits.Limits, (permits) => ({
          infer: (request, timeoutSeconds) =>
            permits.modelCall(
              infer(request, taskOf(request.prompt) ?? "summary", timeoutSeconds).pipe(
                Effect.timeoutOrElse({
                  duration: Duration.seconds(timeoutSeconds),
                  orElse: () => Effect.fail(new ModelTimeout({ model: request.model, seconds: timeoutSeconds }))
                })
              )
            ),
          transcribe: () => Effect.succeed(complaint),
          read: () => Effect.succeed(complaint),
          health: Effect.succeed({ status: "healthy", message: "" }),
          asrOcrHealth: Effect.succeed({ status: "healthy", message: "" })
        }))
      )
    ),
    Layer.provide(Telemetry.layer),
    Layer.provideMerge(Limits.layer({ reports: 15, waitingReports: 200, modelCalls: 10, ...limits })),
    Layer.provideMerge(Database.layer({ kind: "sqlite", path: ":memory:" }))
  )

const rules: Infer = (request, task) => Effect.succeed(answer(law, task, request.prompt))

const approve = (sessionId: string, expectedStep?: string) =>
  Effect.flatMap(Pipeline, (pipeline) =>
    pipeline.answer({ sessionId, event: "approve", input: "", by: "officer", expectedStep })
  )
const begin = Effect.flatMap(Pipeline, (pipeline) => pipeline.submit({ complaint, urgent: false, by: "officer" }))

/** The store answers by promises, which virtual time does not drive: they settle before the clock moves. */
const adjust = (duration: Duration.Input) =>
  Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve))).pipe(
    Effect.repeat({ times: 50 }),
    Effect.andThen(TestClock.adjust(duration))
  )

describe("the pipeline", () => {
  it.effect("reports a clause check that timed out as unchecked and never drops it", () =>
    Effect.gen(function* () {
      const { sessionId } = yield* begin
      yield* approve(sessionId)
      const working = yield* Effect.forkChild(approve(sessionId))
      yield* adjust("8 seconds")
      const { content } = yield* Fiber.join(working)
      const violations = content["violations"] as ReadonlyArray<{ section: string; status: string }>
      assert.isTrue(violations.length > 0)
      assert.isTrue(violations.every(({ status }) => status === "unchecked"))
      assert.isTrue(violations.some(({ section }) => section === "304(2)"))
    }).pipe(Effect.provide(over((request, task) => (task === "clause check" ? Effect.never : rules(request, task, 0)))))
  )

  it.effect("counts work and not queueing: forty checks of seven seconds on ten permits all answer", () =>
    Effect.gen(function* () {
      const sessions = yield* Effect.all(Array.from({ length: 10 }, () => begin))
      yield* Effect.forEach(sessions, ({ sessionId }) => approve(sessionId))
      const working = yield* Effect.forkChild(
        Effect.forEach(sessions, ({ sessionId }) => approve(sessionId), { concurrency: "unbounded" })
      )
      yield* adjust("2 minutes")
      for (const { content } of yield* Fiber.join(working)) {
        const violations = content["violations"] as ReadonlyArray<{ section: string; status: string }>
        assert.deepStrictEqual(
          violations.map(({ section, status }) => [section, status]),
          [["304(2)", "confirmed"]]
        )
      }
    }).pipe(
      Effect.provide(
        over((request, task) =>
          task === "clause check" ? Effect.delay(rules(request, task, 0), "7 seconds") : rules(request, task, 0)
        )
      )
    )
  )

  it.effect("does the work once for ten who approve at once, and tells all of them the same", () => {
    let asked = 0
    const counting: Infer = (request, task) =>
      Effect.suspend(() => {
        asked++
        return Effect.delay(rules(request, task, 0), "1 second")
      })
    return Effect.gen(function* () {
      const { sessionId } = yield* begin
      const all = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 10 }, () => approve(sessionId, "transcript_review")),
          { concurrency: "unbounded" }
        )
      )
      yield* adjust("1 second")
      const outcomes = yield* Fiber.join(all)
      assert.strictEqual(asked, 1)
      assert.strictEqual(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size, 1)
    }).pipe(Effect.provide(over(counting)))
  })

  it.effect("refuses another answer while one is worked on", () =>
    Effect.gen(function* () {
      const pipeline = yield* Pipeline
      const { sessionId } = yield* begin
      const first = yield* Effect.forkChild(approve(sessionId))
      yield* adjust("1 millis")
      const refused = yield* Effect.flip(
        pipeline.answer({ sessionId, event: "regenerate", input: "Name: X", by: "another officer" })
      )
      assert.strictEqual(refused._tag, "Conflict")
      yield* adjust("1 second")
      assert.strictEqual((yield* Fiber.join(first)).step, "summary_review")
    }).pipe(Effect.provide(over((request, task) => Effect.delay(rules(request, task, 0), "1 second"))))
  )

  it.effect("goes on with a step when the one who asked for it hangs up", () =>
    Effect.gen(function* () {
      const pipeline = yield* Pipeline
      const { sessionId } = yield* begin
      const gone = yield* Effect.forkChild(approve(sessionId))
      yield* adjust("1 millis")
      yield* Fiber.interrupt(gone)
      yield* adjust("1 second")
      assert.strictEqual((yield* pipeline.status(sessionId)).session.step, "summary_review")
    }).pipe(Effect.provide(over((request, task) => Effect.delay(rules(request, task, 0), "1 second"))))
  )

  it.effect("leaves a session as it was when the model cannot be asked", () =>
    Effect.gen(function* () {
      const pipeline = yield* Pipeline
      const { sessionId } = yield* begin
      assert.strictEqual((yield* Effect.flip(approve(sessionId)))._tag, "ModelUnavailable")
      const { session, working } = yield* pipeline.status(sessionId)
      const history = yield* pipeline.history(sessionId)
      assert.deepStrictEqual(
        [session.step, session.version, history.length, working],
        ["transcript_review", 1, 1, false]
      )
    }).pipe(
      Effect.provide(
        over(({ model }) => Effect.fail(new ModelUnavailable({ model, reason: "it is away", passing: true })))
      )
    )
  )

  it.effect("refuses when more wait than may", () =>
    Effect.gen(function* () {
      const sessions = yield* Effect.all([begin, begin, begin])
      const [first, second, third] = sessions.map(({ sessionId }) => approve(sessionId))
      assert.isDefined(first)
      assert.isDefined(second)
      assert.isDefined(third)
      if (first === undefined || second === undefined || third === undefined) return
      yield* Effect.forkChild(first)
      yield* Effect.forkChild(second)
      yield* adjust("1 millis")
      assert.strictEqual((yield* Effect.flip(third))._tag, "Overloaded")
    }).pipe(Effect.provide(over(() => Effect.never, { reports: 1, waitingReports: 1 })))
  )

  it.effect("serves the urgent first, and tells those who wait their place", () =>
    Effect.gen(function* () {
      const pipeline = yield* Pipeline
      const open = (urgent: boolean, text: string) =>
        Effect.map(pipeline.submit({ complaint: `${complaint} ${text}`, urgent, by: "officer" }), (it) => it.sessionId)
      const working = yield* open(false, "first")
      const plain = yield* open(false, "second")
      const urgent = yield* open(true, "third")
      const places = Effect.forEach([working, plain, urgent], (id) => Effect.map(pipeline.status(id), (it) => it.place))
      const first = yield* Effect.forkChild(approve(working))
      yield* adjust("1 millis")
      const waiting = [yield* Effect.forkChild(approve(plain))]
      yield* adjust("1 millis")
      waiting.push(yield* Effect.forkChild(approve(urgent)))
      yield* adjust("1 millis")
      assert.deepStrictEqual(yield* places, [undefined, 2, 1])
      yield* adjust("10 seconds")
      yield* Fiber.join(first)
      yield* adjust("1 millis")
      assert.deepStrictEqual(yield* places, [undefined, 1, undefined])
      yield* adjust("10 seconds")
      yield* adjust("10 seconds")
      for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber)).step, "summary_review")
    }).pipe(
      Effect.provide(
        over(
          (request, task) =>
            Effect.delay(
              Effect.suspend(() => rules(request, task, 60)),
              "10 seconds"
            ),
          { reports: 1 }
        )
      )
    )
  )

  it.effect("knows a complaint that was submitted before, however it is broken into lines", () =>
    Effect.gen(function* () {
      const pipeline = yield* Pipeline
      const first = yield* begin
      assert.isUndefined(first.duplicateOf)
      const again = complaint.replaceAll(" ", "\n  ").toUpperCase()
      const second = yield* pipeline.submit({ complaint: again, urgent: false, by: "another" })
      assert.strictEqual(second.duplicateOf?.sessionId, first.sessionId)
      yield* adjust("2 hours")
      assert.isUndefined((yield* begin).duplicateOf)
    }).pipe(Effect.provide(over(rules)))
  )

  it.effect("expires a session that is idle for an hour, and then takes no answer", () =>
    Effect.gen(function* () {
      const pipeline = yield* Pipeline
      const { sessionId } = yield* begin
      yield* adjust("59 minutes")
      assert.strictEqual(yield* pipeline.tidy, 0)
      yield* adjust("2 minutes")
      assert.strictEqual(yield* pipeline.tidy, 1)
      assert.strictEqual((yield* Effect.flip(approve(sessionId)))._tag, "NotAwaiting")
    }).pipe(Effect.provide(over(rules)))
  )

  it.effect("marks a statement of the narrative that the complaint does not make", () =>
    Effect.gen(function* () {
      const { sessionId } = yield* begin
      for (let step = 0; step < 3; step++) yield* approve(sessionId)
      const { content } = yield* approve(sessionId)
      assert.deepStrictEqual(content["unsupported_statements"], ["The thief was Vikram Malhotra of Gurgaon."])
    }).pipe(
      Effect.provide(
        over((request, task) =>
          task === "narrative" ? Effect.succeed("The thief was Vikram Malhotra of Gurgaon.") : rules(request, task, 0)
        )
      )
    )
  )
})
