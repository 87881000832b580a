// Results as runs make them: by recording into recorders.

import fc from "fast-check"
import * as Recorder from "../../src/results/Recorder.ts"
import type * as Result from "../../src/results/Result.ts"

export interface Request {
  readonly step: number
  readonly at: number
  readonly late: number
  readonly took: number
  readonly status: number
  readonly error: number
  readonly bytes: number
  readonly phases: ReadonlyArray<number>
}

export const request: fc.Arbitrary<Request> = fc.record({
  step: fc.nat(3),
  at: fc.double({ min: 0, max: 20e6, noNaN: true }),
  late: fc.oneof(fc.constant(0), fc.nat(5_000)),
  took: fc.oneof(fc.nat(2_000), fc.nat(60_000_000)),
  status: fc.constantFrom(0, 200, 204, 404, 503),
  error: fc.nat(13),
  bytes: fc.nat(100_000),
  phases: fc.array(fc.oneof(fc.constant(-1), fc.nat(50_000)), { minLength: 5, maxLength: 5 })
})

const stepOf = (recorder: Recorder.Recorder, index: number): number =>
  recorder.step(recorder.scenario(index % 2 === 0 ? "browse" : "order"), `step ${index}`, index < 2 ? "http" : "grpc")

export const record = (recorder: Recorder.Recorder, requests: ReadonlyArray<Request>): void => {
  for (const { at, bytes, error, late, phases, status, step, took } of requests) {
    const sent = at + late
    const ended = sent + took
    const [poolWait = -1, connect = -1, tls = -1, firstByte = -1, body = -1] = phases
    const index = stepOf(recorder, step)
    recorder.planned(at, 1)
    recorder.setUsers(step + 1)
    recorder.arrival(at, sent)
    recorder.connection(bytes % 3 !== 0)
    recorder.phases(index, poolWait, connect, tls, firstByte, body)
    recorder.request(index, at, sent, ended, status, error, bytes, 2 * bytes)
    recorder.checked(recorder.check(`check ${step % 2}`), status === 200)
    recorder.iteration(recorder.scenario(step % 2 === 0 ? "browse" : "order"), at, ended)
    if (status === 503) recorder.dropped(recorder.scenario("order"), ended)
    recorder.loopDelay(ended, late)
  }
}

const startedAtMillis = 1_700_000_000_250

export const resultOf = (
  requests: ReadonlyArray<Request>,
  { name = "a run", secondsLater = 0 }: { readonly name?: string; readonly secondsLater?: number } = {}
): Result.Result => {
  const recorder = Recorder.make({ name, startedAtMillis: startedAtMillis + secondsLater * 1000 })
  record(recorder, requests)
  return recorder.result(Math.max(1, ...requests.map(({ at, late, took }) => at + late + took)))
}

export const result: fc.Arbitrary<Result.Result> = fc
  .record({
    requests: fc.array(request, { maxLength: 40 }),
    secondsLater: fc.oneof(fc.nat(5), fc.nat(10_000)),
    name: fc.constantFrom("one", "two", "three")
  })
  .map(({ requests, ...options }) => resultOf(requests, options))
