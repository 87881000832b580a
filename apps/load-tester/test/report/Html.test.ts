import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { evenTicks } from "../../src/report/charts.ts"
import * as Html from "../../src/report/Html.ts"
import * as Threshold from "../../src/thresholds/Threshold.ts"
import { make } from "../output/sample.ts"
import { result as anyResult, resultOf } from "../results/arbitraries.ts"

it("is one page that holds all it needs, whatever a run came to", () => {
  fc.assert(
    fc.property(anyResult, (result) => {
      const page = Html.html(result)
      expect(page).not.toMatch(/NaN|undefined|Infinity|<script|<link|src=|href=|url\(|@import/)
      for (const tag of ["section", "svg", "table", "div", "p"]) {
        expect([tag, page.split(`</${tag}>`).length]).toEqual([tag, page.split(new RegExp(`<${tag}[ >]`)).length])
      }
    }),
    { numRuns: 30 }
  )
})

it("has a chart of each kind, and the figures", () => {
  const page = Html.html(make())
  for (const label of [
    "Quantiles of latency over time",
    "Heat map of latency",
    "Latency by quantile",
    "Requests a second over time",
    "Mean time in each phase over time",
    "Delay of the event loop over time"
  ]) {
    expect(page).toContain(`aria-label="${label}"`)
  }
  expect(page).toContain("<b>600</b>")
  expect(page).toContain("<td>browse › GET /items</td>")
  expect(page).toContain("prefers-color-scheme:dark")
})

it("keeps a page of a long run small", () => {
  expect(Html.html(make({ seconds: 1_000, perSecond: 5 })).length).toBeLessThan(300_000)
})

it.effect("tells which thresholds were crossed", () =>
  Effect.gen(function* () {
    const result = make()
    const thresholds = yield* Effect.forEach(["req_duration: p(95)<200", "req_failed: rate<0.01"], (text) =>
      Threshold.parse(text)
    )
    const page = Html.html(result, Threshold.evaluateAll(thresholds, result))
    expect(page).toContain("1 of 2 thresholds crossed")
    expect(page).toContain('<li class="met">✓ req_duration: p(95)&lt;200')
    expect(page).toContain('<li class="crossed">✗ req_failed: rate&lt;0.01')
  })
)

it("escapes what it is given", () => {
  expect(Html.html(resultOf([], { name: "<script>alert(1)</script>" }))).not.toContain("<script")
})

it("parts an axis by round numbers", () => {
  expect(evenTicks(0, 12, 6)).toEqual([0, 2, 4, 6, 8, 10, 12])
  expect(evenTicks(0, 1_000, 5)).toEqual([0, 200, 400, 600, 800, 1_000])
  expect(evenTicks(3, 3, 5)).toEqual([3])
})
