import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Objective from "../../src/capacity/Objective.ts"
import * as Recorder from "../../src/results/Recorder.ts"

interface Sent {
  readonly lateMicros?: number
  readonly tookMicros: number
  readonly dropped?: number
  readonly loopDelayMicros?: number
}

const run = ({ dropped = 0, lateMicros = 0, loopDelayMicros = 0, tookMicros }: Sent) => {
  const recorder = Recorder.make({ startedAtMillis: 1_700_000_000_000 })
  const scenario = recorder.scenario("all")
  const step = recorder.step(scenario, "get", "http")
  for (let at = 0; at < 1e6; at += 1_000) {
    const sent = at + lateMicros
    recorder.planned(at, 1)
    recorder.arrival(at, sent)
    recorder.request(step, at, sent, sent + tookMicros, 200, Recorder.ErrorKind.none, 0, 0)
  }
  if (dropped > 0) recorder.dropped(scenario, 999_000, dropped)
  recorder.loopDelay(999_000, loopDelayMicros)
  return recorder.result(1.5e6)
}

const judged = (sent: Sent) =>
  Effect.map(Objective.parse("p(99)<20"), (objective) => {
    const { isClientLimited, isMet } = Objective.judge([objective], run(sent))
    return { isMet, isClientLimited }
  })

it.effect("tells a slow server from a slow tester", () =>
  Effect.gen(function* () {
    expect(yield* judged({ tookMicros: 5_000 })).toEqual({ isMet: true, isClientLimited: false })
    expect(yield* judged({ tookMicros: 50_000 })).toEqual({ isMet: false, isClientLimited: false })
    expect(yield* judged({ tookMicros: 5_000, lateMicros: 30_000 })).toEqual({ isMet: false, isClientLimited: true })
    expect(yield* judged({ tookMicros: 50_000, loopDelayMicros: 40_000 })).toEqual({
      isMet: false,
      isClientLimited: true
    })
  })
)

it.effect("does not take a rate for held that was not sent", () =>
  Effect.gen(function* () {
    expect(yield* judged({ tookMicros: 5_000, dropped: 5 })).toEqual({ isMet: true, isClientLimited: false })
    expect(yield* judged({ tookMicros: 5_000, dropped: 50 })).toEqual({ isMet: false, isClientLimited: false })
  })
)
