import { readFileSync } from "node:fs"
import { expect, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Effect } from "effect"
import fc from "fast-check"
import * as Json from "../../src/output/Json.ts"
import * as Threshold from "../../src/thresholds/Threshold.ts"
import { result as anyResult } from "../results/arbitraries.ts"
import { make } from "./sample.ts"

const published: object = JSON.parse(readFileSync(new URL("../../result.schema.json", import.meta.url), "utf8"))

it("has a published schema, which is that of the code", () => {
  expect(published).toEqual(JSON.parse(JSON.stringify(Json.schema())))
})

it("follows its published schema, whatever a run came to", () => {
  const validate = new Ajv2020({ strict: false }).compile(published)
  fc.assert(
    fc.property(anyResult, (result) => {
      const isValid = validate(JSON.parse(Json.text(result)))
      expect(validate.errors ?? []).toEqual([])
      expect(isValid).toBe(true)
    }),
    { numRuns: 30 }
  )
  expect(validate({ version: 2 })).toBe(false)
})

it.effect("tells a run with its thresholds", () =>
  Effect.gen(function* () {
    const result = make({ seconds: 2 })
    const thresholds = yield* Effect.forEach(
      ["req_duration: p(95)<200", "req_failed[1s]: rate>0.5", "ws_req_duration: p(95)<200"],
      (text) => Threshold.parse(text)
    )
    const { series, steps: _steps, ...rest } = Json.report(result, Threshold.evaluateAll(thresholds, result))
    expect(rest).toMatchInlineSnapshot(`
      {
        "checks": [
          {
            "failed": 0,
            "name": "body is small",
            "passed": 100,
          },
          {
            "failed": 0,
            "name": "status is 200",
            "passed": 100,
          },
        ],
        "client": {
          "gaps": {
            "count": 99,
            "deviation": 293.499,
            "max": 20084,
            "mean": 19969.808,
            "min": 17078,
            "p50": 19991.624,
            "p75": 20045.827,
            "p90": 20045.827,
            "p95": 20045.827,
            "p99": 20084,
            "p999": 20084,
            "p9999": 20084,
          },
          "late": 1,
          "loopDelay": {
            "count": 2,
            "deviation": 17.007,
            "max": 756,
            "mean": 739,
            "min": 722,
            "p50": 722,
            "p75": 756,
            "p90": 756,
            "p95": 756,
            "p99": 756,
            "p999": 756,
            "p9999": 756,
          },
          "sendDelay": {
            "count": 100,
            "deviation": 295.023,
            "max": 3000,
            "mean": 74.16,
            "min": 0,
            "p50": 42.008,
            "p75": 72.981,
            "p90": 84.015,
            "p95": 88.931,
            "p99": 99.911,
            "p999": 3000,
            "p9999": 3000,
          },
          "warnings": [],
        },
        "connections": {
          "opened": 4,
          "reused": 96,
        },
        "durationSeconds": 2,
        "names": [
          "sample",
        ],
        "passed": false,
        "recorders": 1,
        "scenarios": [
          {
            "dropped": 0,
            "duration": {
              "count": 90,
              "deviation": 8646.819,
              "max": 87662,
              "mean": 7936.7,
              "min": 4046,
              "p50": 7262.097,
              "p75": 8520.009,
              "p90": 9316.327,
              "p95": 9808.143,
              "p99": 87662,
              "p999": 87662,
              "p9999": 87662,
            },
            "iterations": 90,
            "name": "browse",
          },
          {
            "dropped": 0,
            "duration": {
              "count": 10,
              "deviation": 1811.483,
              "max": 9335,
              "mean": 7076.3,
              "min": 4271,
              "p50": 7501.927,
              "p75": 8451.083,
              "p90": 8945.533,
              "p95": 9335,
              "p99": 9335,
              "p999": 9335,
              "p9999": 9335,
            },
            "iterations": 10,
            "name": "order",
          },
        ],
        "startedAt": "2026-01-02T03:04:05.000Z",
        "thresholds": [
          {
            "atSeconds": null,
            "met": true,
            "observed": 9676.254858195509,
            "threshold": "req_duration: p(95)<200",
          },
          {
            "atSeconds": 0,
            "met": false,
            "observed": 0,
            "threshold": "req_failed[1s]: rate>0.5",
          },
          {
            "atSeconds": null,
            "met": false,
            "observed": null,
            "threshold": "ws_req_duration: p(95)<200",
          },
        ],
        "total": {
          "bytesIn": 204800,
          "bytesOut": 12000,
          "errors": {},
          "failed": 0,
          "failedRate": 0,
          "latency": {
            "count": 100,
            "deviation": 8227.12,
            "max": 87662,
            "mean": 7850.66,
            "min": 4046,
            "p50": 7501.927,
            "p75": 8496.972,
            "p90": 9316.327,
            "p95": 9676.255,
            "p99": 10580.64,
            "p999": 87662,
            "p9999": 87662,
          },
          "phases": {
            "body": {
              "count": 90,
              "deviation": 863.236,
              "max": 8756,
              "mean": 785.989,
              "min": 400,
              "p50": 719.192,
              "p75": 846.055,
              "p90": 930.155,
              "p95": 960.873,
              "p99": 8756,
              "p999": 8756,
              "p9999": 8756,
            },
            "connect": {
              "count": 4,
              "deviation": 0.354,
              "max": 400,
              "mean": 400,
              "min": 400,
              "p50": 400,
              "p75": 400,
              "p90": 400,
              "p95": 400,
              "p99": 400,
              "p999": 400,
              "p9999": 400,
            },
            "firstByte": {
              "count": 90,
              "deviation": 6905.98,
              "max": 70050,
              "mean": 6287.389,
              "min": 3202,
              "p50": 5753.536,
              "p75": 6768.442,
              "p90": 7441.237,
              "p95": 7686.983,
              "p99": 70050,
              "p999": 70050,
              "p9999": 70050,
            },
            "poolWait": {
              "count": 90,
              "deviation": 0.005,
              "max": 20,
              "mean": 20,
              "min": 20,
              "p50": 20,
              "p75": 20,
              "p90": 20,
              "p95": 20,
              "p99": 20,
              "p999": 20,
              "p9999": 20,
            },
            "tls": {
              "count": 4,
              "deviation": 1.992,
              "max": 1500,
              "mean": 1500,
              "min": 1500,
              "p50": 1500,
              "p75": 1500,
              "p90": 1500,
              "p95": 1500,
              "p99": 1500,
              "p999": 1500,
              "p9999": 1500,
            },
          },
          "requests": 100,
          "requestsPerSecond": 50,
          "service": {
            "count": 100,
            "deviation": 8226.576,
            "max": 87562,
            "mean": 7776.5,
            "min": 4002,
            "p50": 7481.642,
            "p75": 8451.083,
            "p90": 9291.136,
            "p95": 9572.022,
            "p99": 9888.137,
            "p999": 87562,
            "p9999": 87562,
          },
          "statuses": {
            "200": 90,
            "OK": 10,
          },
        },
        "version": 1,
        "windowSeconds": 1,
      }
    `)
    expect(series[1]).toMatchInlineSnapshot(`
      {
        "atSeconds": 1,
        "body": 794.84,
        "bytesIn": 102400,
        "bytesOut": 6000,
        "connect": 0,
        "dropped": 0,
        "failed": 0,
        "firstByte": 6357.98,
        "iterations": 50,
        "late": 0,
        "loopDelay": 756,
        "max": 87662,
        "mean": 8621.16,
        "opened": 0,
        "p50": 7593.453,
        "p90": 9030.189,
        "p99": 87662,
        "p999": 87662,
        "planned": 50,
        "poolWait": 18,
        "requests": 50,
        "requestsPerSecond": 50,
        "reused": 50,
        "seconds": 1,
        "tls": 0,
        "users": 6,
      }
    `)
  })
)

it("writes the time series as CSV", () => {
  expect(Json.csv(make({ seconds: 3 }))).toMatchInlineSnapshot(`
    "atSeconds,seconds,requests,failed,requestsPerSecond,planned,dropped,iterations,users,bytesOut,bytesIn,opened,reused,late,loopDelay,mean,p50,p90,p99,p999,max,poolWait,connect,tls,firstByte,body
    0,1,50,0,50,50,0,50,6,6000,102400,4,46,1,722,7080.16,7271.516,9429.989,10571,10571,10571,18,32,120,4959.32,619.94
    1,1,50,0,50,50,0,50,7,6000,102400,0,50,0,756,8621.16,7593.453,9030.189,87662,87662,87662,18,0,0,6357.98,794.84
    2,1,50,0,50,50,0,50,7,6000,102400,0,50,0,608,6707.34,6668.009,8647.338,10010,10010,10010,18,0,0,4772.32,596.62
    "
  `)
})
