// A server with one queue and some workers, in virtual time: what a run at a rate would have measured.

import { random } from "../../src/engine/Random.ts"
import * as Recorder from "../../src/results/Recorder.ts"
import type * as Result from "../../src/results/Result.ts"

export interface Server {
  readonly workers: number
  /** The mean time of a request, in microseconds; times are exponential. */
  readonly serviceMicros: number
}

/** Requests as Poisson arrivals. */
export const run = (
  { serviceMicros, workers }: Server,
  rate: number,
  requests: number,
  seed: number
): Result.Result => {
  const draw = random(seed)
  const exponential = (mean: number): number => -mean * Math.log(1 - draw())
  const recorder = Recorder.make({ startedAtMillis: 1_700_000_000_000 })
  const step = recorder.step(recorder.scenario("queue"), "request", "http")
  const freeAt = new Array<number>(workers).fill(0)
  const ended: Array<{ readonly at: number; readonly endedAt: number }> = []
  let at = 0
  for (let request = 0; request < requests; request++) {
    at += exponential(1e6 / rate)
    let first = 0
    for (let worker = 1; worker < workers; worker++) {
      if ((freeAt[worker] ?? 0) < (freeAt[first] ?? 0)) first = worker
    }
    const endedAt = Math.max(at, freeAt[first] ?? 0) + exponential(serviceMicros)
    freeAt[first] = endedAt
    ended.push({ at, endedAt })
  }
  ended.sort((a, b) => a.endedAt - b.endedAt)
  for (const one of ended) recorder.request(step, one.at, one.at, one.endedAt, 200, Recorder.ErrorKind.none, 0, 0)
  return recorder.result(ended.at(-1)?.endedAt ?? 0)
}
