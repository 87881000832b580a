import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Objective from "../../src/capacity/Objective.ts"
import * as Plot from "../../src/capacity/Plot.ts"
import * as Search from "../../src/capacity/Search.ts"
import * as Server from "./server.ts"

const searched = Effect.gen(function* () {
  const objectives = [yield* Objective.parse("p(99)<50"), yield* Objective.parse("rate<0.01")]
  let seed = 1
  const measure = (rate: number) =>
    Effect.sync(() =>
      Objective.judge(objectives, Server.run({ workers: 4, serviceMicros: 8_000 }, rate, 6_000, seed++))
    )
  return { objectives, found: yield* Search.search({ measure, start: 50 }) }
})

it.effect("plots latency against load, and tells each trial", () =>
  Effect.gen(function* () {
    const { found, objectives } = yield* searched
    expect(found.trials.map(Plot.trial).join("\n")).toMatchInlineSnapshot(`
      "growth               50/s  ended    50.51/s  p50    5.52ms  p99   36.47ms  ✓
      growth              100/s  ended      103/s  p50    5.56ms  p99   37.01ms  ✓
      growth              200/s  ended      201/s  p50    5.81ms  p99   37.01ms  ✓
      growth              400/s  ended      394/s  p50    9.62ms  p99   47.04ms  ✓
      growth              800/s  ended      503/s  p50     2.22s  p99     4.35s  ✗
      bisection           566/s  ended      501/s  p50  755.64ms  p99     1.37s  ✗
      bisection           476/s  ended      478/s  p50   28.35ms  p99  128.79ms  ✗
      bisection           436/s  ended      440/s  p50   17.94ms  p99   77.62ms  ✗
      bisection           418/s  ended      418/s  p50   14.48ms  p99   73.73ms  ✗
      confirmation        400/s  ended      401/s  p50   11.12ms  p99   51.78ms  ✗
      bisection           283/s  ended      285/s  p50    6.52ms  p99   36.37ms  ✓
      bisection           336/s  ended      340/s  p50    7.82ms  p99   42.38ms  ✓
      bisection           367/s  ended      357/s  p50    8.31ms  p99   46.28ms  ✓
      bisection           383/s  ended      381/s  p50    9.98ms  p99   49.86ms  ✓
      confirmation        383/s  ended      377/s  p50    9.47ms  p99   51.57ms  ✗
      confirmation        367/s  ended      364/s  p50    8.75ms  p99   46.66ms  ✓
      confirmation        367/s  ended      360/s  p50    8.73ms  p99    42.9ms  ✓"
    `)
    expect(Plot.text(found.trials, objectives)).toMatchInlineSnapshot(`
      "p(99)
          4.35s │                                                            x
                │
                │
          1.44s │                                          x
                │
                │
       478.13ms │
                │
                │
       158.51ms │
                │                                    x
                │                               x x
        52.55ms │----------------------------oxx------------------------------
                │    o   o      o     o   o
                └─────────────────────────────────────────────────────────────
                 0                                                       800/s"
    `)
    expect(Plot.conclusion(found)).toMatchInlineSnapshot(
      `"The greatest rate that holds the objective is 367/s; at 383/s it fails."`
    )
  })
)

it.effect("makes a page of its own", () =>
  Effect.gen(function* () {
    const { found, objectives } = yield* searched
    const html = Plot.html(found, objectives, "http://<target>/")
    expect(html).toContain("<h1>Capacity of http://&lt;target&gt;/</h1>")
    expect(html).toContain("req_duration: p(99)&lt;50, req_failed: rate&lt;0.01")
    expect(html).not.toMatch(/NaN|undefined|<script|src=|href=/)
  })
)

it("says what the search came to", () => {
  const none = { trials: [], isConfirmed: false, isClientLimited: false, failsAt: 10 }
  expect(
    [
      { ...none, rate: undefined },
      { ...none, rate: 9, failsAt: undefined },
      { ...none, rate: 9, isClientLimited: true },
      { ...none, rate: 9 },
      { ...none, rate: 9, isConfirmed: true }
    ].map(Plot.conclusion)
  ).toEqual([
    "No rate held the objective.",
    "The objective held at 9/s, the greatest rate that was allowed.",
    "The objective held at 9/s; at 10/s the tester itself was the limit.",
    "The objective held at 9/s, which was not confirmed: the search ended early.",
    "The greatest rate that holds the objective is 9/s; at 10/s it fails."
  ])
})

it.effect("takes a condition alone for one of latency, or of failures", () =>
  Effect.gen(function* () {
    const texts = yield* Effect.forEach(["p(99)<200", "rate<0.01", "http_req_waiting: avg<3ms"], (text) =>
      Effect.map(Objective.parse(text), (objective) => objective.text)
    )
    expect(texts).toEqual(["req_duration: p(99)<200", "req_failed: rate<0.01", "http_req_waiting: avg<3ms"])
  })
)
