import { describe, expect, it } from "vitest"
import * as Output from "../src/suites/output.ts"
import { published } from "../src/suites/published.ts"
import type { SuiteResult } from "../src/suites/suites.ts"

const result = (change: Partial<SuiteResult> = {}): SuiteResult => ({
  name: "Contexts",
  requests: 32,
  succeeded: 32,
  averageSeconds: 1.21,
  makespanSeconds: 6.05,
  throughput: 32 / 6.05,
  connectionDrops: 0,
  sentAgain: 0,
  checks: [{ statement: "every item was created", holds: true }],
  ...change
})

const run = (change: Partial<Output.SuiteRun> = {}): Output.SuiteRun => ({
  suite: "high_concurrency_contexts",
  results: [result()],
  error: undefined,
  ...change
})

const broken = run({ results: [result({ checks: [{ statement: 'a < b & "c"', holds: false }] })] })

describe("text", () => {
  it("is the block of the Text2Everything guide", () => {
    expect(Output.text(run()).split("\n")).toEqual([
      "✅ Contexts (32 concurrent requests)",
      "   Success rate: 32/32 (100%)",
      "   Average time: 1.210 seconds per request",
      "   Throughput: 5.29 requests/second (6.05 s in all)",
      "   Connection drops: zero, sent again: 0"
    ])
  })

  it("says what is not so, and why a suite came to no end", () => {
    expect(Output.text(broken)).toContain('Not so: a < b & "c"')
    expect(Output.text(run({ results: [], error: "no API" }))).toBe("❌ high_concurrency_contexts: no API")
  })
})

describe("junit", () => {
  it("counts what failed, and escapes what it says", () => {
    const xml = Output.junit([run(), broken, run({ results: [], error: "no API" })])
    expect(xml).toContain('<testsuite name="t2e" tests="3" failures="2">')
    expect(xml).toContain('<failure message="a &lt; b &amp; &quot;c&quot;"/>')
    expect(xml).toContain('<failure message="no API"/>')
  })
})

describe("json", () => {
  it("says of each suite and of all whether they passed", () => {
    expect(JSON.parse(Output.json([run(), broken]))).toMatchObject({
      passed: false,
      suites: [{ passed: true }, { passed: false }]
    })
  })
})

describe("published", () => {
  it("sets the guide's rate, ours and the bound side by side where a request takes as long as it did there", () => {
    expect(
      published([run()])
        ?.split("\n")
        .at(-1)
        ?.split("|")
        .map((cell) => cell.trim())
    ).toEqual([
      "",
      "Contexts",
      "32/32, 1.2 s, 0.8 req/s",
      "32/32, 1.21 s, 5.29 req/s",
      "6.6×",
      "99.2% of 5.33 req/s",
      ""
    ])
  })

  it("compares no rates of another latency", () => {
    expect(published([run({ results: [result({ averageSeconds: 0.012 })] })])).toContain("another latency")
  })

  it("says nothing where none of the three suites ran", () => {
    expect(published([run({ suite: "paged_list" })])).toBeUndefined()
  })
})
