import { expect, it } from "vitest"
import * as Histogram from "../../src/results/Histogram.ts"
import * as Recorder from "../../src/results/Recorder.ts"
import * as Result from "../../src/results/Result.ts"

const epoch = 1_700_000_000_000

const make = () => {
  const recorder = Recorder.make({ startedAtMillis: epoch })
  const scenario = recorder.scenario("main")
  return { recorder, scenario, step: recorder.step(scenario, "get", "http") }
}

it("counts latency from the planned time, and service from the time at which it was sent", () => {
  const { recorder, step } = make()
  recorder.request(step, 1_000, 31_000, 41_000, 200, Recorder.ErrorKind.none, 10, 20)
  const [get] = recorder.result(41_000).steps
  expect(get?.latency.max).toBe(40_000)
  expect(get?.service.max).toBe(10_000)
  expect(get?.statuses).toEqual([["200", 1]])
  expect(get?.errors).toEqual([])
})

it("keeps a window for each second, and those too in which nothing ended", () => {
  const { recorder, step } = make()
  for (const second of [0, 1, 4]) {
    recorder.request(step, second * 1e6, second * 1e6, second * 1e6 + 500, 503, Recorder.ErrorKind.status_5xx, 0, 0)
  }
  const result = recorder.result(5e6)
  expect(result.windows.map(({ requests }) => requests)).toEqual([1, 1, 0, 0, 1])
  expect(Result.series(result).map(({ atSeconds }) => atSeconds)).toEqual([0, 1, 2, 3, 4])
  expect(result.windows.map(({ failed }) => failed)).toEqual([1, 1, 0, 0, 1])
})

it("keeps the size of a result flat, however long the run: windows widen", () => {
  const { recorder, step } = make()
  for (let second = 0; second < 10_000; second++) {
    recorder.request(step, second * 1e6, second * 1e6, second * 1e6 + 500, 200, Recorder.ErrorKind.none, 0, 0)
  }
  const result = recorder.result(10_000e6)
  expect(result.windowSeconds).toBe(4)
  expect(result.windows.length).toBeLessThanOrEqual(Result.maxWindows)
  expect(result.windows.reduce((sum, { requests }) => sum + requests, 0)).toBe(10_000)
})

it("tells what only some requests have had: a connection that was there took no time to open", () => {
  const { recorder, step } = make()
  recorder.phases(step, 10, 200, -1, 3_000, 40)
  recorder.phases(step, 5, -1, -1, 2_000, 30)
  const [get] = recorder.result(1e6).steps
  expect(get?.phases.connect.count).toBe(1)
  expect(get?.phases.tls.count).toBe(0)
  expect(get?.phases.firstByte.sum).toBe(5_000)
})

it("tells how late arrivals were sent, and how they were spaced", () => {
  const { recorder } = make()
  recorder.arrival(0, 0)
  recorder.arrival(1_000, 1_000)
  recorder.arrival(2_000, 5_000)
  const { client } = recorder.result(1e6)
  expect(client.late).toBe(1)
  expect(client.sendDelay.max).toBe(3_000)
  expect([client.gaps.min, client.gaps.max]).toEqual([1_000, 4_000])
})

it("gives steps beyond its bound one name", () => {
  const { recorder, scenario } = make()
  for (let index = 0; index < 1_000; index++) {
    const step = recorder.step(scenario, `/item/${index}`, "http")
    recorder.request(step, 0, 0, 10, 200, Recorder.ErrorKind.none, 0, 0)
  }
  const { steps } = recorder.result(1e6)
  expect(steps).toHaveLength(Recorder.maxSteps + 1)
  expect(steps.find(({ name }) => name === Recorder.overflow)?.requests).toBe(1_000 - Recorder.maxSteps + 1)
})

it("refuses what was not named, by its number", () => {
  const { recorder } = make()
  expect(() => recorder.request(7, 0, 0, 1, 200, 0, 0, 0)).toThrow("Cannot record step 7: there are 1")
  expect(() => recorder.iteration(3, 0, 1)).toThrow("Cannot record scenario 3: there are 1")
  expect(() => recorder.step(9, "x", "http")).toThrow("Cannot name a step of scenario 9: there are 1")
})

it("goes on after it was read", () => {
  const { recorder, step } = make()
  recorder.request(step, 0, 0, 100, 200, Recorder.ErrorKind.none, 0, 0)
  const before = recorder.result(200)
  recorder.request(step, 0, 0, 300, 200, Recorder.ErrorKind.none, 0, 0)
  const after = recorder.result(400)
  expect(Histogram.quantile(Result.total(before.steps).latency, 1)).toBe(100)
  expect(Result.total(after.steps).requests).toBe(2)
  expect(after.windows).toHaveLength(1)
})
