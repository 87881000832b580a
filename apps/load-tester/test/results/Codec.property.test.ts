// Models a file as the result that was written into it.

import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { crc32 } from "../../src/results/bytes.ts"
import * as Codec from "../../src/results/Codec.ts"
import * as Result from "../../src/results/Result.ts"
import { result, resultOf } from "./arbitraries.ts"

it("reads what was written, to the last bucket", () =>
  fc.assert(
    fc.asyncProperty(result, async (one) => {
      expect(await Effect.runPromise(Codec.decode(Codec.encode(one)))).toEqual(one)
    }),
    { numRuns: 50 }
  ))

it("merges files as it merges results", () =>
  fc.assert(
    fc.asyncProperty(result, result, async (a, b) => {
      const read = (one: Result.Result) => Effect.runPromise(Codec.decode(Codec.encode(one)))
      expect(Codec.encode(Result.merge(await read(a), await read(b)))).toEqual(Codec.encode(Result.merge(a, b)))
    }),
    { numRuns: 30 }
  ))

it("refuses a file of which any byte was changed, and any part of one", () =>
  fc.assert(
    fc.asyncProperty(result, fc.nat(), fc.integer({ min: 1, max: 255 }), async (one, at, by) => {
      const bytes = Codec.encode(one)
      const changed = bytes.slice()
      const place = at % bytes.length
      changed[place] = (changed[place] ?? 0) ^ by
      for (const wrong of [changed, bytes.subarray(0, place)]) {
        const error = await Effect.runPromise(Effect.flip(Codec.decode(wrong, "run.slr")))
        expect(error.message).toMatch(/^Cannot read run.slr as a result: /)
      }
    }),
    { numRuns: 50 }
  ))

it("has the checksum of zlib", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926)
})

it.effect("says what is wrong with a file", () =>
  Effect.gen(function* () {
    const bytes = Codec.encode(resultOf([]))
    const later = bytes.slice()
    later[3] = 9
    const reasons = yield* Effect.forEach([new Uint8Array(0), later, bytes.subarray(0, -1)], (wrong) =>
      Effect.map(Effect.flip(Codec.decode(wrong, "run.slr")), ({ message }) => message)
    )
    expect(reasons).toEqual([
      "Cannot read run.slr as a result: it does not begin as a result does",
      "Cannot read run.slr as a result: it is of version 9, and version 1 is what is read",
      "Cannot read run.slr as a result: its checksum differs, so that it was cut off or changed"
    ])
    const { message } = yield* Effect.flip(Codec.load("/nonexistent/run.slr"))
    expect(message).toContain("Cannot read /nonexistent/run.slr")
  })
)
