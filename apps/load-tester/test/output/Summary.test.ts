import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Summary from "../../src/output/Summary.ts"
import * as Units from "../../src/output/units.ts"
import * as Threshold from "../../src/thresholds/Threshold.ts"
import { make } from "./sample.ts"

const thresholds = [
  "req_duration: p(95)<200",
  "req_failed: rate<0.01",
  "req_failed[1s]: rate<0.6",
  "loop_delay: max<1s",
  "checks: rate>0.5",
  "ws_reqs: count>0",
  "http_req_tls_handshaking{scenario:order}: max<1s"
]

it.effect("is k6's block, with thresholds, errors and what the tester itself did", () =>
  Effect.gen(function* () {
    const result = make()
    const all = yield* Effect.forEach(thresholds, (text) => Threshold.parse(text))
    expect(Summary.text(result, Threshold.evaluateAll(all, result))).toMatchInlineSnapshot(`
      "
         THRESHOLDS

           ✓ req_duration: p(95)<200   p(95)=95.87ms
           ✗ req_failed: rate<0.01   rate=2.83%
           ✓ req_failed[1s]: rate<0.6   rate=33.33% in the window from 7s
           ✓ loop_delay: max<1s   max=756µs
           ✓ checks: rate>0.5   rate=98.58%
           ✗ ws_reqs: count>0   count=0
           ✗ http_req_tls_handshaking{scenario:order}: max<1s   nothing was recorded

         CHECKS

           ✓ body is small
           ✗ status is 200
            ↳  97.17%: ✓ 583 / ✗ 17

         TOTALS

           http_req_duration................: avg=15.74ms  min=4.05ms   med=7.16ms   max=147.37ms p(90)=10ms     p(95)=95.87ms  p(99)=139.68ms p(99.9)=147.37ms p(99.99)=147.37ms
           http_req_service.................: avg=15.68ms  min=4ms      med=7.13ms   max=147.29ms p(90)=9.91ms   p(95)=95.61ms  p(99)=139.68ms p(99.9)=147.29ms p(99.99)=147.29ms
           http_req_blocked.................: avg=20µs     min=20µs     med=20µs     max=20µs     p(90)=20µs     p(95)=20µs     p(99)=20µs     p(99.9)=20µs     p(99.99)=20µs
           http_req_connecting..............: avg=400µs    min=400µs    med=400µs    max=400µs    p(90)=400µs    p(95)=400µs    p(99)=400µs    p(99.9)=400µs    p(99.99)=400µs
           http_req_tls_handshaking.........: avg=1.5ms    min=1.5ms    med=1.5ms    max=1.5ms    p(90)=1.5ms    p(95)=1.5ms    p(99)=1.5ms    p(99.9)=1.5ms    p(99.99)=1.5ms
           http_req_waiting.................: avg=12.54ms  min=3.2ms    med=5.71ms   max=117.83ms p(90)=7.92ms   p(95)=76.58ms  p(99)=111.57ms p(99.9)=117.83ms p(99.99)=117.83ms
           http_req_receiving...............: avg=1.57ms   min=400µs    med=713µs    max=14.73ms  p(90)=990µs    p(95)=9.57ms   p(99)=13.95ms  p(99.9)=14.73ms  p(99.99)=14.73ms
           http_req_failed..................: 2.78%      15 out of 540
           http_reqs........................: 540        45/s
           grpc_req_duration................: avg=15.95ms  min=4.16ms   med=7.58ms   max=122.2ms  p(90)=9.62ms   p(95)=87.92ms  p(99)=122.2ms  p(99.9)=122.2ms  p(99.99)=122.2ms
           grpc_req_service.................: avg=15.9ms   min=4.11ms   med=7.56ms   max=122.1ms  p(90)=9.62ms   p(95)=87.92ms  p(99)=122.1ms  p(99.9)=122.1ms  p(99.99)=122.1ms
           grpc_req_failed..................: 3.33%      2 out of 60
           grpc_reqs........................: 60         5/s
           req_duration.....................: avg=15.76ms  min=4.05ms   med=7.22ms   max=147.37ms p(90)=10ms     p(95)=95.87ms  p(99)=138.93ms p(99.9)=147.37ms p(99.99)=147.37ms
           req_failed.......................: 2.83%      17 out of 600
           reqs.............................: 600        50/s
           checks...........................: 98.58%     1,183 out of 1,200
           iterations.......................: 600        50/s
           dropped_iterations...............: 6          0.5/s
           iteration_duration...............: avg=15.76ms  min=4.05ms   med=7.22ms   max=147.37ms p(90)=10ms     p(95)=95.87ms  p(99)=138.93ms p(99.9)=147.37ms p(99.99)=147.37ms
           data_sent........................: 72 kB      6 kB/s
           data_received....................: 1.2 MB     102 kB/s
           connections_opened...............: 4          0.33/s
           connections_reused...............: 99.33%     596 out of 600
           arrivals_met.....................: 99.00%     594 out of 600
           vus..............................: 16
           loop_delay.......................: avg=585µs    min=335µs    med=590µs    max=756µs    p(90)=747µs    p(95)=756µs    p(99)=756µs    p(99.9)=756µs    p(99.99)=756µs
           send_delay.......................: avg=57µs     min=0s       med=45µs     max=3ms      p(90)=89µs     p(95)=95µs     p(99)=100µs    p(99.9)=3ms      p(99.99)=3ms
           arrival_gap......................: avg=20ms     min=17.08ms  med=19.99ms  max=22.97ms  p(90)=20.05ms  p(95)=20.05ms  p(99)=20.1ms   p(99.9)=22.97ms  p(99.99)=22.97ms

         STEPS

           browse › GET /items (http)
             540 requests, 45/s, 15 failed
             avg=15.74ms  min=4.05ms   med=7.16ms   max=147.37ms p(90)=10ms     p(95)=95.87ms  p(99)=139.68ms p(99.9)=147.37ms p(99.99)=147.37ms
           order › checkout › Buy (grpc)
             60 requests, 5/s, 2 failed
             avg=15.95ms  min=4.16ms   med=7.58ms   max=122.2ms  p(90)=9.62ms   p(95)=87.92ms  p(99)=122.2ms  p(99.9)=122.2ms  p(99.99)=122.2ms

         STATUSES

           200..............................: 525
           OK...............................: 58
           503..............................: 15
           DEADLINE_EXCEEDED................: 2

         ERRORS

           status_5xx.......................: 15
           timeout..........................: 2

         THE TESTER ITSELF

           ! 6 of 606 iterations were planned and not begun, since as many as may be were under way: the rate was not reached

         600 requests in 12s"
    `)
  })
)

it("tells a run of nothing", () => {
  expect(Summary.text(make({ seconds: 0 }))).toMatchInlineSnapshot(`
    "
       STEPS

         browse › GET /items (http)
           0 requests, 0/s, 0 failed
           avg=0s       min=0s       med=0s       max=0s       p(90)=0s       p(95)=0s       p(99)=0s       p(99.9)=0s       p(99.99)=0s
         order › checkout › Buy (grpc)
           0 requests, 0/s, 0 failed
           avg=0s       min=0s       med=0s       max=0s       p(90)=0s       p(95)=0s       p(99)=0s       p(99.9)=0s       p(99.99)=0s

       0 requests in 0s"
  `)
})

it("writes figures as people read them", () => {
  expect([0, 0.5, 12.4, 999, 1_000, 12_345, 999_999, 1_500_000, 60e6, 125e6, 3_725e6].map(Units.duration)).toEqual([
    "0s",
    "0.5µs",
    "12µs",
    "999µs",
    "1ms",
    "12.35ms",
    "1s",
    "1.5s",
    "1m0s",
    "2m5s",
    "1h2m5s"
  ])
  expect([0, 999, 1_200, 123_456, 5e9].map(Units.bytes)).toEqual(["0 B", "999 B", "1.2 kB", "123 kB", "5 GB"])
  expect([1, 1_234_567].map(Units.count)).toEqual(["1", "1,234,567"])
  expect([0.5, 99.99, 20_000].map(Units.perSecond)).toEqual(["0.5/s", "99.99/s", "20,000/s"])
})
