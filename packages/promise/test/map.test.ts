import { forEach, map } from "@sluice/promise"
import { describe, expect, it } from "vitest"
import { deferred, outcome, settle } from "./turns.ts"

describe("map", () => {
  it("starts nothing before it is asked, and no more than it may be behind", async () => {
    const started: Array<number> = []
    const results = map(
      Array(100).keys(),
      (n) => {
        started.push(n)
        return n
      },
      { concurrency: 2, buffer: 1 }
    )
    expect(started).toEqual([])
    expect(await results.next()).toEqual({ value: 0, done: false })
    await settle()
    expect(started).toEqual([0, 1, 2, 3])
    await settle()
    expect(started).toHaveLength(4)
    expect(await results.next()).toEqual({ value: 1, done: false })
    await settle()
    expect(started).toEqual([0, 1, 2, 3, 4])
    await results.return()
  })

  it("reads a source of a million items no faster than the loop takes results", async () => {
    let read = 0
    const items = function* () {
      for (; read < 1_000_000; ) yield read++
    }
    let taken = 0
    for await (const _ of map(items(), (n) => n, { concurrency: 8 })) {
      taken++
      expect(read - taken).toBeLessThanOrEqual(16)
      if (taken === 5000) break
    }
    await settle()
    expect(read).toBeLessThanOrEqual(5017)
  })

  it("yields results as they are done where order does not matter", async () => {
    const ends = [deferred(), deferred(), deferred()]
    const results = map([0, 1, 2], (n) => ends[n]?.promise.then(() => n), { concurrency: 3, ordered: false })
    const first = results.next()
    ends[2]?.resolve()
    expect((await first).value).toBe(2)
    ends[0]?.resolve()
    expect((await results.next()).value).toBe(0)
    ends[1]?.resolve()
    expect((await results.next()).value).toBe(1)
    expect((await results.next()).done).toBe(true)
  })

  it("reads an async source one item at a time, and passes on what it throws", async () => {
    const items = async function* () {
      yield 1
      await null
      yield 2
      throw new Error("source")
    }
    const got: Array<number> = []
    const loop = async () => {
      for await (const n of map(items(), (n) => n * 10, { concurrency: 1, buffer: 0 })) got.push(n)
    }
    await expect(loop()).rejects.toThrow("source")
    expect(got).toEqual([10, 20])
  })

  it("throws the first failure, aborts the other calls and waits for them", async () => {
    const log: Array<string> = []
    const loop = async () => {
      const work = async (n: number, { index, signal }: { readonly index: number; readonly signal: AbortSignal }) => {
        expect(index).toBe(n)
        if (n === 1) throw new Error("one")
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()))
        await settle()
        log.push(`ended ${n}`)
      }
      for await (const _ of map([0, 1, 2, 3], work, { concurrency: 3 })) log.push("result")
    }
    await expect(loop()).rejects.toThrow("one")
    expect(log).toEqual(["ended 0", "ended 2"])
  })

  it("ends with the signal's reason, also before it has begun", async () => {
    const controller = new AbortController()
    const seen: Array<unknown> = []
    const work = (_: number, { signal }: { readonly signal: AbortSignal }) =>
      new Promise<number>((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          seen.push(signal.reason)
          reject(signal.reason)
        })
      })
    const first = outcome(map([1, 2], work, { concurrency: 2, signal: controller.signal }).next())
    await settle()
    controller.abort("enough")
    expect(await first).toEqual({ error: "enough" })
    expect(seen).toEqual(["enough", "enough"])
    const late = map([1], work, { concurrency: 1, signal: controller.signal })
    expect(await outcome(late.next())).toEqual({ error: "enough" })
  })

  it("says what is wrong with an option before it begins", () => {
    expect(() => map([], () => 1, { concurrency: 0 })).toThrow("Cannot map with concurrency 0")
    expect(() => map([], () => 1, { concurrency: 1, buffer: -1 })).toThrow("Cannot map with buffer -1")
  })
})

describe("forEach", () => {
  it("is done when all calls are, and fails with the first that does", async () => {
    const done: Array<number> = []
    await forEach([1, 2, 3], async (n) => void done.push(n), { concurrency: 2 })
    expect(done).toEqual([1, 2, 3])
    await expect(forEach([1], () => Promise.reject(new Error("no")), { concurrency: 1 })).rejects.toThrow("no")
  })
})
