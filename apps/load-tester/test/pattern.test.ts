import { describe, expect, it } from "vitest"
import { all, parsePattern, parseRate, parseSeconds, parseStages } from "../src/engine/Pattern.ts"
import { levelAt, peakOf, secondsOf, totalOf } from "../src/engine/Shape.ts"
import { loadOf } from "../src/run/fromFlags.ts"
import { parseMoments } from "../src/run/replay.ts"

describe("times and rates", () => {
  it.each([
    ["500ms", 0.5],
    ["10s", 10],
    ["1m30s", 90],
    ["2h", 7200],
    ["1.5", 1.5],
    ["250us", 0.00025]
  ])("%s", (text, seconds) => {
    expect(parseSeconds(text)).toBeCloseTo(seconds, 9)
  })

  it.each(["", "10 s", "-1s", "1d", "s"])("refuses %j as a time", (text) => {
    expect(() => parseSeconds(text)).toThrow("as a time")
  })

  it("reads rates by the second, the minute and the hour", () => {
    expect([parseRate("100"), parseRate("100/s"), parseRate("600/m"), parseRate("3600/h")]).toEqual([100, 100, 10, 1])
    expect(() => parseRate("fast")).toThrow("as a rate")
  })
})

describe("stages", () => {
  it("go from the level that is reached to the next", () => {
    const shape = parseStages("10s:100,10s:100,5s:0", 20)
    expect([0, 5, 10, 15, 22.5, 30].map((at) => levelAt(shape, at))).toEqual([20, 60, 100, 100, 50, 0])
    expect(secondsOf(shape)).toBe(25)
  })

  it("are at their level at once where they say so", () => {
    const shape = parseStages("5s@10,5s@50")
    expect([0, 4, 5, 9].map((at) => levelAt(shape, at))).toEqual([10, 10, 50, 50])
  })

  it("are refused where they are none", () => {
    expect(() => parseStages("10s100")).toThrow("Cannot read the stage")
  })
})

describe("patterns by name", () => {
  const settings = { level: 100, seconds: 100 }

  it("last as long as they are told, and reach their level", () => {
    for (const { name } of all) {
      const shape = parsePattern(name, settings)
      expect(secondsOf(shape), name).toBeCloseTo(100, 6)
      expect(peakOf(shape), name).toBeCloseTo(100, 6)
    }
  })

  it.each([
    ["steady", 10_000],
    ["ramp", 5000],
    ["step", 6000],
    ["burst", 10_000],
    ["sine", 6250],
    ["soak", 9500],
    ["burst:size=50,every=10s", 500],
    ["ramp:from=50", 7500]
  ])("%s brings %i in all", (text, total) => {
    expect(totalOf(parsePattern(text, settings))).toBeCloseTo(total, 4)
  })

  it("spikes from rest, and cools down", () => {
    const shape = parsePattern("spike:base=10", settings)
    expect([0, 29, 40, 60, 99].map((at) => Math.round(levelAt(shape, at)))).toEqual([10, 10, 100, 10, 10])
  })

  it("refuses what it does not know", () => {
    expect(() => parsePattern("zigzag", settings)).toThrow("the patterns are steady, ramp")
    expect(() => parsePattern("spike:height=3", settings)).toThrow("Cannot set height")
    expect(() => parsePattern("spike:base", settings)).toThrow("write name=value")
  })
})

describe("the load that is asked for", () => {
  it("is closed without a rate, and open with one", () => {
    expect(loadOf({ users: 5, duration: "3s" }, ".")).toEqual({
      model: "closed",
      users: [{ kind: "linear", seconds: 3, from: 5, to: 5 }],
      iterations: undefined
    })
    expect(loadOf({ rate: "600/m", duration: "3s", poisson: true }, ".")).toMatchObject({
      model: "open",
      rate: [{ kind: "linear", seconds: 3, from: 10, to: 10 }],
      spacing: "poisson"
    })
  })

  it("begins its stages at the rate or the users that are given, and at none otherwise", () => {
    expect(loadOf({ rate: 50, stages: "10s:100" }, ".")).toMatchObject({ rate: [{ from: 50, to: 100 }] })
    expect(loadOf({ stages: "10s:100" }, ".")).toMatchObject({ users: [{ from: 0, to: 100 }] })
  })

  it.each([
    [{ stages: "1s:1", pattern: "ramp" }, "at once"],
    [{ stages: "1s:1", duration: "3s" }, "another duration"],
    [{ duration: "0s" }, "for no time"],
    [{ poisson: true }, "without a rate"],
    [{ replay: "x", rate: 3 }, "at another rate"],
    [{ replay: "/nowhere/at/all" }, "Cannot read /nowhere/at/all"]
  ])("is refused as %j", (spec, message) => {
    expect(() => loadOf(spec, ".")).toThrow(message)
  })
})

describe("moments of a recording", () => {
  it("are read from the lines of a log, of CSV and of JSON", () => {
    expect(parseMoments("# log\n2026-01-01T00:00:01Z GET /\n2026-01-01T00:00:00Z GET /\n\n")).toEqual([0, 1_000_000])
    expect(parseMoments("100.5,GET\n100.75,GET\n").map(Math.round)).toEqual([0, 250_000])
    expect(parseMoments('{"time":"2026-01-01T00:00:00Z"}\n{"time":"2026-01-01T00:00:03Z"}\n', 3)).toEqual([
      0, 1_000_000
    ])
  })

  it("are refused where there are none", () => {
    expect(() => parseMoments("1\nthen\n")).toThrow("in line 2")
    expect(() => parseMoments("")).toThrow("Cannot replay no moments")
  })
})
