// A run that is the same every time: twelve seconds of two scenarios, of which one second is slow and half of it fails.

import * as Recorder from "../../src/results/Recorder.ts"
import type * as Result from "../../src/results/Result.ts"

/** Numbers from 0 to 1, the same every time (Lehmer's generator). */
const makeRandom = (seed: number) => {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

export interface Shape {
  readonly seed?: number
  readonly seconds?: number
  readonly perSecond?: number
  /** How many times as slow as usual. */
  readonly slowness?: number
  readonly slowSecond?: number
  readonly startedAtMillis?: number
}

export const make = ({
  perSecond = 50,
  seconds = 12,
  seed = 7,
  slowness = 1,
  slowSecond = 7,
  startedAtMillis = Date.UTC(2026, 0, 2, 3, 4, 5)
}: Shape = {}): Result.Result => {
  const random = makeRandom(seed)
  const recorder = Recorder.make({ name: "sample", startedAtMillis })
  const browse = recorder.scenario("browse")
  const order = recorder.scenario("order")
  const list = recorder.step(browse, "GET /items", "http")
  const buy = recorder.step(order, "Buy", "grpc", "checkout")
  const isOk = recorder.check("status is 200")
  const isSmall = recorder.check("body is small")
  for (let second = 0; second < seconds; second++) {
    const isSlow = second === slowSecond
    recorder.setUsers(5 + second)
    for (let index = 0; index < perSecond; index++) {
      const planned = second * 1e6 + (index * 1e6) / perSecond
      const late = random() < 0.005 ? 3_000 : Math.round(random() * 100)
      const took = Math.round(
        slowness * (isSlow ? 15 : 1) * (4_000 + 6_000 * random() + (random() < 0.01 ? 80_000 : 0))
      )
      const sent = planned + late
      const ended = sent + took
      const fails = isSlow && index % 3 === 0
      const isOrder = index % 10 === 9
      recorder.planned(planned, 1)
      recorder.arrival(planned, sent)
      recorder.connection(index > 3 || second > 0)
      if (!isOrder) {
        const opens = second === 0 && index < 4
        recorder.phases(list, 20, opens ? 400 : -1, opens ? 1_500 : -1, Math.round(took * 0.8), Math.round(took * 0.1))
      }
      recorder.request(
        isOrder ? buy : list,
        planned,
        sent,
        ended,
        isOrder ? (fails ? 4 : 0) : fails ? 503 : 200,
        fails ? (isOrder ? Recorder.ErrorKind.timeout : Recorder.ErrorKind.status_5xx) : Recorder.ErrorKind.none,
        120,
        2_048
      )
      recorder.checked(isOk, !fails)
      recorder.checked(isSmall, true)
      recorder.iteration(isOrder ? order : browse, planned, ended)
    }
    if (isSlow) recorder.dropped(browse, second * 1e6 + 999_000, 6)
    recorder.loopDelay(second * 1e6 + 999_500, 300 + Math.round(random() * 500))
  }
  return recorder.result(seconds * 1e6)
}
