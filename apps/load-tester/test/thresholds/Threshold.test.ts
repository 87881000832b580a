import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Recorder from "../../src/results/Recorder.ts"
import type * as Result from "../../src/results/Result.ts"
import * as Threshold from "../../src/thresholds/Threshold.ts"

/** Ten seconds of a hundred requests of 10 ms; in the sixth second they take 400 ms, and half of them fail. */
const run = (seconds = 10): Result.Result => {
  const recorder = Recorder.make({ startedAtMillis: 1_700_000_000_000 })
  const browse = recorder.scenario("browse")
  const get = recorder.step(browse, "get", "http")
  const call = recorder.step(recorder.scenario("order"), "call", "grpc", "paying")
  for (let second = 0; second < seconds; second++) {
    for (let index = 0; index < 100; index++) {
      const at = second * 1e6 + index * 5_000
      const slow = second === 5
      const failed = slow && index % 2 === 0
      recorder.planned(at, 1)
      recorder.arrival(at, at)
      recorder.request(
        index % 10 === 0 ? call : get,
        at,
        at,
        at + (slow ? 400_000 : 10_000),
        failed ? 503 : 200,
        failed ? Recorder.ErrorKind.status_5xx : Recorder.ErrorKind.none,
        100,
        1_000
      )
      recorder.iteration(browse, at, at + 10_000)
    }
  }
  recorder.dropped(browse, (seconds - 0.5) * 1e6, 10)
  return recorder.result(seconds * 1e6)
}

const verdict = (text: string) => Effect.map(Threshold.parse(text), (threshold) => Threshold.evaluate(threshold, run()))

it.effect("decides each of k6's kinds of metrics", () =>
  Effect.gen(function* () {
    const cases: ReadonlyArray<readonly [string, boolean]> = [
      ["http_req_duration: p(95)<200", false],
      ["http_req_duration: p(90) < 200", true],
      ["http_req_duration: med<=10.1", true],
      ["http_req_duration: max<0.5s", true],
      ["http_req_duration: avg<9000us", false],
      ["http_req_failed: rate<0.01", false],
      ["req_failed: rate<=5%", true],
      ["reqs: count==1000", true],
      ["http_reqs: count===900", true],
      ["reqs: rate>99", true],
      ["iterations: rate>=100", true],
      ["dropped_iterations: count<10", false],
      ["arrivals_met: rate>0.98", true],
      ["data_received: count>1000000", false],
      ["connections_opened: count<1", true]
    ]
    for (const [text, isMet] of cases) expect([text, (yield* verdict(text)).isMet]).toEqual([text, isMet])
  })
)

it.effect("chooses steps by tags", () =>
  Effect.gen(function* () {
    expect((yield* verdict("req_failed{scenario:order}: rate>0.09")).observed).toBe(0.1)
    expect((yield* verdict("reqs{step:get}: count==900")).isMet).toBe(true)
    expect((yield* verdict("grpc_reqs{scenario:order, group:'paying'}: count==100")).isMet).toBe(true)
  })
)

it.effect("holds in every window, or tells the worst", () =>
  Effect.gen(function* () {
    const second = yield* verdict("req_failed[1s]: rate<0.1")
    expect(second).toMatchObject({ isMet: false, observed: 0.5, atSeconds: 5 })
    expect(yield* verdict("req_failed[5s]: rate<=0.1")).toMatchObject({ isMet: true, observed: 0.1 })
    expect(yield* verdict("req_duration[2s]: p(99)<300ms")).toMatchObject({ isMet: false })
    expect(yield* verdict("reqs[1s]: rate>=100")).toMatchObject({ isMet: true, observed: 100 })
  })
)

it.effect("is not met by what recorded nothing, and ends no run for it", () =>
  Effect.gen(function* () {
    const threshold = yield* Threshold.parse("http_req_tls_handshaking: p(95)<200", { abortOnFail: true })
    expect(Threshold.evaluate(threshold, run())).toMatchObject({ isMet: false, observed: undefined })
    expect(Threshold.aborting([threshold], run())).toBeUndefined()
  })
)

it.effect("ends a run once it is crossed, and not before its delay", () =>
  Effect.gen(function* () {
    const at = (abortDelaySeconds: number) =>
      Threshold.parse("req_failed: rate<0.01", { abortOnFail: true, abortDelaySeconds })
    expect(Threshold.aborting([yield* at(0)], run())?.observed).toBe(0.05)
    expect(Threshold.aborting([yield* at(11)], run())).toBeUndefined()
    expect(Threshold.aborting([yield* Threshold.parse("req_failed: rate<0.01")], run())).toBeUndefined()
  })
)

it.effect("ends a run by the newest windows, whatever was long before", () =>
  Effect.gen(function* () {
    const slow = yield* Threshold.parse("req_failed[1s]: rate<0.1", { abortOnFail: true })
    // It failed in the sixth of ten seconds, and has long been well.
    expect(Threshold.aborting([slow], run())).toMatchObject({ atSeconds: 5 })
    expect(Threshold.aborting([slow], run(30))).toBeUndefined()
    expect(Threshold.evaluate(slow, run(30)).isMet).toBe(false)
  })
)

it.effect("reads what a k6 script has", () =>
  Effect.gen(function* () {
    const all = yield* Threshold.fromK6({
      http_req_failed: ["rate<0.01"],
      "http_req_duration{scenario:browse}": [
        "p(95)<200",
        { threshold: "p(99)<500", abortOnFail: true, delayAbortEval: "10s" }
      ]
    })
    expect(all.map(({ abortDelaySeconds, abortOnFail, text }) => [text, abortOnFail, abortDelaySeconds])).toEqual([
      ["http_req_failed: rate<0.01", false, 0],
      ["http_req_duration{scenario:browse}: p(95)<200", false, 0],
      ["http_req_duration{scenario:browse}: p(99)<500", true, 10]
    ])
    const { message } = yield* Effect.flip(
      Threshold.fromK6({ reqs: [{ threshold: "count>1", delayAbortEval: "soon" }] })
    )
    expect(message).toBe("Cannot read the threshold reqs: count>1: delayAbortEval soon is not a duration such as 10s")
  })
)

it.effect("says what is wrong with one that it cannot read", () =>
  Effect.gen(function* () {
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["p(95)<200", "a metric, a colon and a condition are needed, as http_req_duration: p(95)<200"],
      ["nonsense: p(95)<200", "there is no metric nonsense; there are http_req_duration, "],
      ["http_req_duration: fast", "a condition is needed, as p(95)<200, rate<0.01 or count>=1000"],
      ["http_req_duration: rate<1", "http_req_duration is a trend, of which there is avg, min, max, med, p(N)"],
      ["http_req_duration: p(101)<1", "http_req_duration is a trend, of which there is avg, min, max, med, p(N)"],
      ["http_req_failed: rate<1s", "s is not a unit of http_req_failed"],
      ["http_reqs{colour:red}: count>1", "tags are scenario, group, step, name, each with a colon and a value"],
      ["checks{scenario:a}: rate>1", "checks is of the whole run, and has no tags"],
      ["loop_delay[5s]: p(99)<10", "loop_delay is not kept by the second"],
      ["reqs{scenario:a}[5s]: count>1", "windows are of all requests, and have no tags"]
    ]
    for (const [text, reason] of cases) {
      const { message } = yield* Effect.flip(Threshold.parse(text))
      expect(message).toContain(`Cannot read the threshold ${text}: ${reason}`)
    }
  })
)
