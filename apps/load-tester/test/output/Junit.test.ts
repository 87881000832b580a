import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Junit from "../../src/output/Junit.ts"
import * as Threshold from "../../src/thresholds/Threshold.ts"
import { make } from "./sample.ts"

it.effect("has thresholds and checks as tests", () =>
  Effect.gen(function* () {
    const result = make()
    const thresholds = yield* Effect.forEach(
      ["req_duration: p(95)<200", 'http_req_failed{step:"GET /items"}: rate<0.01'],
      (text) => Threshold.parse(text)
    )
    expect(Junit.text(result, Threshold.evaluateAll(thresholds, result))).toMatchInlineSnapshot(`
      "<?xml version="1.0" encoding="UTF-8"?>
      <testsuites name="sample" tests="4" failures="2" time="12.000">
        <testsuite name="thresholds" tests="2" failures="1" errors="0" skipped="0" time="12.000">
          <testcase classname="thresholds" name="req_duration: p(95)&lt;200" time="12.000"/>
          <testcase classname="thresholds" name="http_req_failed{step:&quot;GET /items&quot;}: rate&lt;0.01" time="12.000">
            <failure message="✗ http_req_failed{step:&quot;GET /items&quot;}: rate&lt;0.01   rate=2.78%"/>
          </testcase>
        </testsuite>
        <testsuite name="checks" tests="2" failures="1" errors="0" skipped="0" time="12.000">
          <testcase classname="checks" name="body is small" time="12.000"/>
          <testcase classname="checks" name="status is 200" time="12.000">
            <failure message="17 of 600 failed"/>
          </testcase>
        </testsuite>
      </testsuites>
      "
    `)
  })
)
