// Models a run as the list of its requests, and several recorders as one that saw all.

import fc from "fast-check"
import { expect, it } from "vitest"
import * as Result from "../../src/results/Result.ts"
import { request, result, resultOf } from "./arbitraries.ts"

it("merges in any order to the same, to the last count", () => {
  fc.assert(
    fc.property(result, result, result, (a, b, c) => {
      expect(Result.merge(a, b)).toEqual(Result.merge(b, a))
      expect(Result.merge(Result.merge(a, b), c)).toEqual(Result.merge(a, Result.merge(b, c)))
    }),
    { numRuns: 50 }
  )
})

it("counts of two recorders together what one would have counted", () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 40 }), fc.array(request, { maxLength: 40 }), (a, b) => {
      const merged = Result.merge(resultOf(a), resultOf(b))
      const whole = resultOf([...a, ...b])
      const plain = ({ requests, failed, bytesIn, bytesOut, statuses, errors, latency, service }: Result.Total) => ({
        requests,
        failed,
        bytesIn,
        bytesOut,
        statuses,
        errors,
        latency: [latency.count, latency.sum, latency.min, latency.max],
        service: [service.count, service.sum, service.min, service.max]
      })
      expect(plain(Result.total(merged.steps))).toEqual(plain(Result.total(whole.steps)))
      expect(merged.checks).toEqual(whole.checks)
      expect([merged.opened, merged.reused, merged.client.late]).toEqual([
        whole.opened,
        whole.reused,
        whole.client.late
      ])
    }),
    { numRuns: 50 }
  )
})

it("has in its windows what it has in its steps", () => {
  fc.assert(
    fc.property(result, (one) => {
      const total = Result.total(one.steps)
      const sum = (of: (window: Result.Window) => number) =>
        one.windows.reduce((before, window) => before + of(window), 0)
      expect(sum(({ requests }) => requests)).toBe(total.requests)
      expect(sum(({ failed }) => failed)).toBe(total.failed)
      expect(sum(({ bytesIn }) => bytesIn)).toBe(total.bytesIn)
      expect(sum(({ latency }) => latency.count)).toBe(total.latency.count)
      expect(sum(({ latency }) => latency.sum)).toBe(total.latency.sum)
      expect(sum(({ phaseSums }) => phaseSums[3] ?? 0)).toBe(total.phases.firstByte.sum)
      expect(sum(({ dropped }) => dropped)).toBe(one.scenarios.reduce((all, { dropped }) => all + dropped, 0))
    }),
    { numRuns: 50 }
  )
})
