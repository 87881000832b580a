import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { ApiError, Bulk, InputFailed, InvalidConfiguration, InvalidItems } from "../src/index.ts"

const Item = Schema.Struct({ name: Schema.NonEmptyString })
const Made = Schema.Struct({ id: Schema.String })
type Item = typeof Item.Type

const items = (count: number): ReadonlyArray<Item> =>
  Array.from({ length: count }, (_, index) => ({ name: `item ${index}` }))

const refusal = new ApiError({
  kind: "ServerError",
  status: 500,
  method: "POST",
  path: "/",
  detail: "no",
  requestId: undefined,
  retryAfter: undefined
})

/** A target that takes a second an item and refuses the names in `bad`. */
const target = (bad: ReadonlySet<string> = new Set()) => {
  const seen: Array<{ readonly name: string; readonly key: string }> = []
  const load = { now: 0, most: 0 }
  const create: Bulk.Create<Item, typeof Made.Type> = ({ name }, { attempted, idempotencyKey }) =>
    Effect.gen(function* () {
      attempted()
      seen.push({ name, key: idempotencyKey })
      load.most = Math.max(load.most, ++load.now)
      yield* Effect.sleep("1 second")
      return bad.has(name) ? yield* refusal : { id: name }
    }).pipe(Effect.ensuring(Effect.sync(() => load.now--)))
  const bulk: Bulk.BulkTarget<Item, typeof Made.Type> = {
    name: "items",
    item: Item,
    value: Made,
    create,
    defaults: { maxConcurrent: 8, isolated: true }
  }
  return { bulk, seen, load }
}

const noUndo = () => Effect.succeed({ deleted: 0, failedIds: [] })

const finish = <A, E>(work: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(work)
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

describe("create", () => {
  it.effect("reports every item in the order of the input", () =>
    Effect.gen(function* () {
      const { bulk, load } = target()
      const report = yield* finish(Bulk.create(bulk, items(32), {}, noUndo))
      expect(report.results.map((result) => result.value?.id)).toEqual(items(32).map(({ name }) => name))
      expect(report).toMatchObject({ created: 32, failed: 0, notAttempted: 0 })
      expect(load.most).toBe(8)
    })
  )

  it.effect("takes one second for the first item alone and four for 31 at eight at once", () =>
    Effect.gen(function* () {
      const { bulk } = target()
      const report = yield* finish(Bulk.create(bulk, items(32), {}, noUndo))
      expect(report.durationMillis).toBe(5000)
    })
  )

  it.effect("takes four seconds for 32 at eight at once where none goes first", () =>
    Effect.gen(function* () {
      const { bulk } = target()
      const report = yield* finish(Bulk.create(bulk, items(32), { firstAlone: false }, noUndo))
      expect(report.durationMillis).toBe(4000)
    })
  )

  it.effect("sends item 0 before any other", () =>
    Effect.gen(function* () {
      const { bulk, seen } = target()
      const fiber = yield* Effect.forkChild(Bulk.create(bulk, items(9), {}, noUndo))
      yield* TestClock.adjust("999 millis")
      expect(seen.map(({ name }) => name)).toEqual(["item 0"])
      yield* TestClock.adjust("1 hour")
      expect((yield* Fiber.join(fiber)).created).toBe(9)
    })
  )

  it.effect("goes on where the first item fails", () =>
    Effect.gen(function* () {
      const { bulk } = target(new Set(["item 0"]))
      const report = yield* finish(Bulk.create(bulk, items(5), {}, noUndo))
      expect(report).toMatchObject({ created: 4, failed: 1 })
      expect(report.results[0]?.error).toBe(refusal)
    })
  )

  it.effect("sends one at a time where it is told to", () =>
    Effect.gen(function* () {
      const { bulk, load } = target()
      yield* finish(Bulk.create(bulk, items(4), { parallel: false }, noUndo))
      expect(load.most).toBe(1)
    })
  )

  it.effect("sends nothing where an item is not valid, and names each", () =>
    Effect.gen(function* () {
      const { bulk, seen } = target()
      const error = yield* Effect.flip(Bulk.create(bulk, [{ name: "a" }, { name: "" }, { name: "" }], {}, noUndo))
      expect(error).toBeInstanceOf(InvalidItems)
      expect(error instanceof InvalidItems && error.issues.map(({ index }) => index)).toEqual([1, 2])
      expect(seen).toEqual([])
    })
  )

  it.effect("refuses a concurrency of none instead of hanging", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Bulk.create(target().bulk, items(2), { maxConcurrent: 0 }, noUndo))
      expect(error).toBeInstanceOf(InvalidConfiguration)
      expect(error.message).toContain("maxConcurrent = 0")
    })
  )

  it.effect("sends nothing more after a failure where it is told to stop, and keeps what was in flight", () =>
    Effect.gen(function* () {
      const { bulk, seen } = target(new Set(["item 2"]))
      const report = yield* finish(
        Bulk.create(bulk, items(20), { onFailure: "stop", maxConcurrent: 2, firstAlone: false }, noUndo)
      )
      expect(report.failed).toBe(1)
      expect(report.stoppedBy).toBe("failure")
      expect(report.created).toBe(seen.length - 1)
      expect(report.created + report.failed + report.notAttempted).toBe(20)
      expect(report.notAttempted).toBeGreaterThan(10)
    })
  )

  it.effect("sends nothing more once its signal is aborted, and reports what there is", () =>
    Effect.gen(function* () {
      const { bulk } = target()
      const controller = new AbortController()
      const fiber = yield* Effect.forkChild(
        Bulk.create(bulk, items(20), { signal: controller.signal, maxConcurrent: 4 }, noUndo)
      )
      yield* TestClock.adjust("1500 millis")
      controller.abort()
      yield* TestClock.adjust("1 hour")
      const report = yield* Fiber.join(fiber)
      expect(report).toMatchObject({ created: 5, failed: 0, notAttempted: 15, stoppedBy: "signal" })
    })
  )

  it.effect("undoes what it created where it is told to, once an item fails", () =>
    Effect.gen(function* () {
      const { bulk } = target(new Set(["item 3"]))
      const undone: Array<string> = []
      const report = yield* finish(
        Bulk.create(bulk, items(5), { undoOnFailure: true }, (values) => {
          undone.push(...values.map(({ id }) => id))
          return Effect.succeed({ deleted: values.length, failedIds: [] })
        })
      )
      expect(report.undone).toEqual({ deleted: 4, failedIds: [] })
      expect(undone).toEqual(["item 0", "item 1", "item 2", "item 4"])
    })
  )

  it.effect("tells its progress after each item", () =>
    Effect.gen(function* () {
      const seen: Array<Bulk.Progress> = []
      const { bulk } = target(new Set(["item 1"]))
      yield* finish(Bulk.create(bulk, items(3), { onProgress: (progress) => seen.push(progress) }, noUndo))
      expect(seen.at(-1)).toEqual({ done: 3, total: 3, created: 2, failed: 1 })
      expect(seen.map(({ done }) => done)).toEqual([1, 2, 3])
    })
  )
})

describe("a checkpoint", () => {
  const inFolder = <A>(work: (file: string) => Promise<A>): Promise<A> => {
    const folder = mkdtempSync(join(tmpdir(), "t2e-"))
    return work(join(folder, "checkpoint")).finally(() => rmSync(folder, { recursive: true }))
  }
  const run = (bulk: Bulk.BulkTarget<Item, typeof Made.Type>, input: ReadonlyArray<Item>, checkpoint: string) =>
    Effect.runPromise(
      Effect.scoped(Effect.provide(finish(Bulk.create(bulk, input, { checkpoint }, noUndo)), TestClock.layer()))
    )

  it("lets a second run send only what failed in the first, under the same keys", () =>
    inFolder(async (file) => {
      const first = target(new Set(["item 2"]))
      await run(first.bulk, items(5), file)
      const second = target()
      const report = await run(second.bulk, items(5), file)
      expect(report).toMatchObject({ created: 1, restored: 4, failed: 0 })
      expect(report.results.map((result) => result.value?.id)).toEqual(items(5).map(({ name }) => name))
      expect(second.seen).toEqual(first.seen.filter(({ name }) => name === "item 2"))
    }))

  it("ignores a line that a crash cut off, and sends its item again", () =>
    inFolder(async (file) => {
      await run(target().bulk, items(3), file)
      writeFileSync(file, readFileSync(file, "utf8").slice(0, -7))
      const again = target()
      expect(await run(again.bulk, items(3), file)).toMatchObject({ created: 1, restored: 2 })
      expect(await run(target().bulk, items(3), file)).toMatchObject({ created: 0, restored: 3 })
    }))

  it("refuses other items than those it remembers", () =>
    inFolder(async (file) => {
      await run(target().bulk, items(3), file)
      await expect(run(target().bulk, [{ name: "another" }], file)).rejects.toThrow(/item 0 differs/)
    }))

  it("refuses to be that of another project", () =>
    inFolder(async (file) => {
      await run(target().bulk, items(3), file)
      const other = { ...target().bulk, name: "items of another project" }
      await expect(run(other, items(3), file)).rejects.toThrow(/the checkpoint of items of another project/)
    }))

  it("that cannot be written any more stops the operation, and loses nothing", () =>
    inFolder(async (file) => {
      const { bulk } = target()
      const unwritable = {
        ...bulk,
        value: Schema.Struct({ id: Schema.String.check(Schema.makeFilter((id) => id !== "item 3")) })
      }
      const checkpointed = Bulk.create(
        unwritable,
        items(20),
        { checkpoint: file, maxConcurrent: 2, firstAlone: false },
        noUndo
      )
      const report = await Effect.runPromise(Effect.scoped(Effect.provide(finish(checkpointed), TestClock.layer())))
      expect(report.stoppedBy).toBe("checkpoint")
      expect(report.failed).toBe(0)
      expect(report.results[3]).toMatchObject({ status: "created", value: { id: "item 3" } })
      expect(report.created).toBeLessThan(8)
      expect(report.created + report.notAttempted).toBe(20)
      expect(await run(target().bulk, items(20), file)).toMatchObject({ failed: 0, notAttempted: 0 })
    }))

  it("remembers lines longer than what is read at once", () =>
    inFolder(async (file) => {
      const long = Array.from({ length: 5 }, (_, index) => ({ name: `${index}`.repeat(100_000) }))
      expect(await run(target().bulk, long, file)).toMatchObject({ created: 5 })
      const again = await run(target().bulk, long, file)
      expect(again).toMatchObject({ created: 0, restored: 5 })
      expect(again.results.map(({ value }) => value?.id)).toEqual(long.map(({ name }) => name))
    }))

  it("refuses a file that is none", () =>
    inFolder(async (file) => {
      writeFileSync(file, "something else\n")
      await expect(run(target().bulk, items(1), file)).rejects.toThrow(/checkpoint/)
    }))
})

describe("stream", () => {
  it.effect("reads no further than what is in flight", () =>
    Effect.gen(function* () {
      let pulled = 0
      async function* endless(): AsyncGenerator<Item> {
        while (true) yield { name: `item ${pulled++}` }
      }
      const { bulk } = target()
      const fiber = yield* Bulk.stream(bulk, endless(), { maxConcurrent: 4 }).pipe(
        Stream.take(10),
        Stream.runCollect,
        Effect.forkChild
      )
      // The generator yields through promises, which virtual time does not wait for.
      for (let step = 0; step < 50; step++) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        yield* TestClock.adjust("1 second")
      }
      const results = yield* Fiber.join(fiber)
      expect(results.map((result) => result.index).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      expect(pulled).toBeLessThan(40)
    })
  )

  it.effect("holds no more than what is in flight of 20,000 items", () =>
    Effect.gen(function* () {
      let pulled = 0
      let done = 0
      let most = 0
      async function* many(): AsyncGenerator<Item> {
        while (pulled < 20_000) {
          pulled++
          most = Math.max(most, pulled - done)
          yield { name: `item ${pulled}` }
        }
      }
      const { bulk } = target()
      const quick: typeof bulk = { ...bulk, create: () => Effect.as(Effect.yieldNow, { id: "made" }) }
      yield* Bulk.stream(quick, many(), { maxConcurrent: 16 }).pipe(Stream.runForEach(() => Effect.sync(() => done++)))
      expect(done).toBe(20_000)
      // 16 in flight, as many results that wait to be taken, and one that waits to be sent.
      expect(most).toBeLessThanOrEqual(2 * 16 + 2)
    })
  )

  it.effect("makes a failed result of an item that is not valid", () =>
    Effect.gen(function* () {
      const { bulk } = target()
      const results = yield* finish(Stream.runCollect(Bulk.stream(bulk, [{ name: "a" }, { name: "" }])))
      expect(new Map(results.map(({ index, status }) => [index, status]))).toEqual(
        new Map([
          [0, "created"],
          [1, "failed"]
        ])
      )
    })
  )
})

describe("what goes wrong beside the items", () => {
  const turns = (count: number) =>
    Effect.gen(function* () {
      // Generators yield through promises, which virtual time does not wait for.
      for (let step = 0; step < count; step++) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        yield* TestClock.adjust("1 second")
      }
    })

  const broken = ["an AsyncIterable", "an Iterable"] as const
  for (const kind of broken) {
    it.effect(`${kind} that breaks off fails the stream after the results of all that was read`, () =>
      Effect.gen(function* () {
        async function* asynchronous(): AsyncGenerator<Item> {
          yield* items(10)
          throw new Error("disk gone")
        }
        function* synchronous(): Generator<Item> {
          yield* items(10)
          throw new Error("disk gone")
        }
        const { bulk } = target()
        const input = kind === "an Iterable" ? synchronous() : asynchronous()
        const seen: Array<Bulk.ItemResult<typeof Made.Type>> = []
        const fiber = yield* Bulk.stream(bulk, input, { maxConcurrent: 4 }).pipe(
          Stream.runForEach((result) => Effect.sync(() => seen.push(result))),
          Effect.flip,
          Effect.forkChild
        )
        yield* turns(40)
        const error = yield* Fiber.join(fiber)
        expect(error).toBeInstanceOf(InputFailed)
        expect(error).toMatchObject({ read: 10, message: expect.stringContaining("disk gone") })
        expect(seen.filter(({ status }) => status === "created").length).toBe(
          seen.filter(({ status }) => status !== "notAttempted").length
        )
        expect(seen).toHaveLength(10)
      })
    )
  }

  it.effect("a callback that throws is called no more, and costs nothing that was created", () =>
    Effect.gen(function* () {
      let calls = 0
      const { bulk } = target()
      const report = yield* finish(
        Bulk.create(
          bulk,
          items(5),
          {
            onProgress: () => {
              calls++
              throw new Error("a fault of the caller")
            }
          },
          noUndo
        )
      )
      expect(report.created).toBe(5)
      expect(calls).toBe(1)
    })
  )

  it.effect("an item that is no JSON is named with the others that are wrong", () =>
    Effect.gen(function* () {
      const Anything = Schema.Struct({ data: Schema.Unknown })
      const seen: Array<unknown> = []
      const bulk: Bulk.BulkTarget<typeof Anything.Type, typeof Made.Type> = {
        name: "anything",
        item: Anything,
        value: Made,
        create: (item) =>
          Effect.sync(() => {
            seen.push(JSON.stringify(item))
            return { id: "made" }
          }),
        defaults: { maxConcurrent: 8, isolated: true }
      }
      const input = [{ data: 1 }, { data: 1n }]
      const error = yield* Effect.flip(Bulk.create(bulk, input, {}, noUndo))
      expect(error instanceof InvalidItems && error.issues.map(({ index }) => index)).toEqual([1])
      expect(seen).toEqual([])
      const results = yield* finish(Stream.runCollect(Bulk.stream(bulk, input)))
      expect(results.map(({ status }) => status)).toEqual(["created", "failed"])
    })
  )

  it.effect("a target that dies of one item fails that item alone", () =>
    Effect.gen(function* () {
      const { bulk } = target()
      const dying: typeof bulk = {
        ...bulk,
        create: (item, how) => (item.name === "item 2" ? Effect.die(new Error("a defect")) : bulk.create(item, how))
      }
      const report = yield* finish(Bulk.create(dying, items(5), {}, noUndo))
      expect(report).toMatchObject({ created: 4, failed: 1 })
      expect(report.results[2]?.error?.message).toContain("a defect")
    })
  )
})

/** The model: each item is created unless it is among the bad ones; with no stop, nothing else can happen to it. */
describe("laws", () => {
  it("every item is accounted for once, in order, and never more in flight than allowed", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 40 }),
        fc.array(fc.nat(39)),
        fc.integer({ min: 1, max: 12 }),
        fc.boolean(),
        async (count, badIndices, maxConcurrent, firstAlone) => {
          const bad = new Set(badIndices.map((index) => `item ${index}`))
          const { bulk, load, seen } = target(bad)
          const report = await Effect.runPromise(
            Effect.scoped(
              Effect.provide(
                finish(Bulk.create(bulk, items(count), { maxConcurrent, maxWorkers: 12, firstAlone }, noUndo)),
                TestClock.layer()
              )
            )
          )
          expect(report.results.map(({ index }) => index)).toEqual(items(count).map((_, index) => index))
          expect(report.results.map(({ status }) => status)).toEqual(
            items(count).map(({ name }) => (bad.has(name) ? "failed" : "created"))
          )
          expect(load.most).toBeLessThanOrEqual(maxConcurrent)
          expect(new Set(seen.map(({ key }) => key)).size).toBe(count)
        }
      ),
      { numRuns: 60 }
    ))

  it("whatever fails, running again with the checkpoint ends with every item created exactly once", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.uniqueArray(fc.nat(19)), { maxLength: 3 }),
        async (count, failures) => {
          const folder = mkdtempSync(join(tmpdir(), "t2e-law-"))
          const made = new Map<string, string>()
          try {
            for (const bad of [...failures, []]) {
              const { bulk, seen } = target(new Set(bad.map((index) => `item ${index}`)))
              const report = await Effect.runPromise(
                Effect.scoped(
                  Effect.provide(
                    finish(Bulk.create(bulk, items(count), { checkpoint: join(folder, "c") }, noUndo)),
                    TestClock.layer()
                  )
                )
              )
              for (const result of report.results.filter(({ status }) => status === "created")) {
                expect(made.has(result.value?.id ?? "")).toBe(false)
                made.set(result.value?.id ?? "", seen.find(({ name }) => name === result.value?.id)?.key ?? "")
              }
            }
            expect([...made.keys()].sort()).toEqual(
              items(count)
                .map(({ name }) => name)
                .sort()
            )
            expect(new Set(made.values()).size).toBe(count)
          } finally {
            rmSync(folder, { recursive: true })
          }
        }
      ),
      { numRuns: 25 }
    ))
})
