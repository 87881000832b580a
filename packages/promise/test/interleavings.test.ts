// Every await of the programs below is a choice of fast-check's scheduler: which of the
// promises that could settle does so next. Aborts are steps among the others, so that
// they come before, between and after everything else. Laws of @sluice/semaphore.

import { createKeyedSemaphore, createPrioritySemaphore, createSemaphore, hedge, map, retry } from "@sluice/promise"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { outcome } from "./turns.ts"

// The hand-over and the turn in which it is known are a few microtasks apart, which no step of the scheduler falls
// between: so a task may also strike another, some microtasks after it has ended.
const strike = fc.option(fc.record({ victim: fc.nat(7), hops: fc.nat(8) }), { nil: undefined })

const tasks = fc.array(
  fc.record({ permits: fc.integer({ min: 1, max: 3 }), steps: fc.nat(2), isAborted: fc.boolean(), strike }),
  { minLength: 1, maxLength: 8 }
)

interface Subject {
  run(f: () => Promise<void>, permits: number, at: number, signal: AbortSignal): Promise<void>
  stats(): { readonly held: number; readonly waiting: number }
}

const subjects: Readonly<Record<string, () => Subject>> = {
  semaphore: () => {
    const semaphore = createSemaphore(3)
    return { run: (f, permits, _, signal) => semaphore.run(f, { permits, signal }), stats: semaphore.stats }
  },
  "keyed semaphore": () => {
    const semaphore = createKeyedSemaphore<number>({ permitsPerKey: 3, permits: 3 })
    return { run: (f, permits, at, signal) => semaphore.run(at % 2, f, { permits, signal }), stats: semaphore.stats }
  },
  "priority semaphore": () => {
    const semaphore = createPrioritySemaphore({ permits: 3, classes: 2 })
    return {
      run: (f, permits, at, signal) => semaphore.run(f, { permits, priority: at % 2, signal }),
      stats: semaphore.stats
    }
  }
}

describe.each(Object.entries(subjects))("a %s, in every order in which promises may settle", (_, make) => {
  it("never lets in more than its permits, ends everybody, and has every permit back", () =>
    fc.assert(
      fc.asyncProperty(fc.scheduler(), tasks, async (s, program) => {
        const subject = make()
        let inside = 0
        const controllers = program.map(() => new AbortController())
        const hit = async ({ hops, victim }: { readonly victim: number; readonly hops: number }): Promise<void> => {
          for (let hop = 0; hop < hops; hop++) await null
          controllers[victim]?.abort("gone")
        }
        const ends = program.map(({ isAborted, permits, steps, strike }, at) => {
          const controller = controllers[at] ?? new AbortController()
          let isRun = false
          const arrived = s.schedule(Promise.resolve(), `task ${at} arrives`)
          const end = arrived.then(() =>
            outcome(
              subject.run(
                async () => {
                  isRun = true
                  inside += permits
                  expect(inside).toBeLessThanOrEqual(3)
                  for (let step = 0; step < steps; step++) await s.schedule(Promise.resolve(), `task ${at} works`)
                  inside -= permits
                  if (strike !== undefined) void hit(strike)
                },
                permits,
                at,
                controller.signal
              )
            )
          )
          if (isAborted) void s.schedule(Promise.resolve(), `task ${at} aborts`).then(() => controller.abort("gone"))
          return end.then((result) => {
            if ("error" in result) expect(result).toEqual({ error: "gone" })
            // What has not been run was aborted, and what was aborted in line was not run.
            expect(isRun).toBe("value" in result)
          })
        })
        await s.waitFor(Promise.all(ends))
        expect(inside).toBe(0)
        expect(subject.stats()).toMatchObject({ held: 0, waiting: 0 })
      }),
      { numRuns: 500 }
    ))
})

describe("map, in every order in which promises may settle", () => {
  const shape = fc.record({
    count: fc.nat(12),
    concurrency: fc.integer({ min: 1, max: 4 }),
    buffer: fc.nat(3),
    ordered: fc.boolean(),
    isAsync: fc.boolean()
  })

  const source = async function* (s: fc.Scheduler, count: number) {
    for (let n = 0; n < count; n++) {
      await s.schedule(Promise.resolve(), `item ${n} is there`)
      yield n
    }
  }

  /** Models the results as those of one call after another. */
  it("yields each result once, in order where it should, within its bounds", () =>
    fc.assert(
      fc.asyncProperty(fc.scheduler(), shape, async (s, { buffer, concurrency, count, isAsync, ordered }) => {
        let running = 0
        let begun = 0
        let taken = 0
        const got: Array<number> = []
        const items = isAsync ? source(s, count) : Array(count).keys()
        const loop = async (): Promise<void> => {
          const results = map(
            items,
            async (n) => {
              begun++
              expect(++running).toBeLessThanOrEqual(concurrency)
              expect(begun - taken).toBeLessThanOrEqual(concurrency + buffer)
              await s.schedule(Promise.resolve(), `call ${n}`)
              running--
              return n * 2
            },
            { concurrency, buffer, ordered }
          )
          for await (const result of results) {
            // What was handed out is taken once the loop comes back for more; the library has counted it already.
            taken++
            got.push(result)
            await s.schedule(Promise.resolve(), `result ${result} is used`)
          }
        }
        // One may be taken and begun for in the same step.
        taken = 1
        await s.waitFor(loop())
        const expected = Array.from(Array(count).keys(), (n) => n * 2)
        expect(ordered ? got : got.toSorted((a, b) => a - b)).toEqual(expected)
        expect(running).toBe(0)
      }),
      { numRuns: 500 }
    ))

  it("leaves nothing running, and closes its source, however it is left", () =>
    fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        shape,
        fc.constantFrom("break", "throw", "abort" as const),
        fc.nat(8),
        async (s, { buffer, concurrency, count, ordered }, how, after) => {
          let running = 0
          let isClosed = false
          const controller = new AbortController()
          const items = (async function* () {
            try {
              yield* source(s, count)
            } finally {
              isClosed = true
            }
          })()
          const work = async (n: number, { signal }: { readonly signal: AbortSignal }): Promise<number> => {
            running++
            try {
              await s.schedule(Promise.resolve(), `call ${n}`)
              if (how === "throw" && n === after) throw new Error("broken")
              signal.throwIfAborted()
              return n
            } finally {
              running--
            }
          }
          const loop = async (): Promise<void> => {
            const options = { concurrency, buffer, ordered, signal: controller.signal }
            let taken = 0
            for await (const _ of map(items, work, options)) if (how === "break" && ++taken > after) break
          }
          if (how === "abort") void s.schedule(Promise.resolve(), "abort").then(() => controller.abort("enough"))
          const end = await s.waitFor(outcome(loop()))
          expect(running).toBe(0)
          if ("error" in end) expect(end.error === "enough" || how === "throw").toBe(true)
          else expect(how === "throw" && after < count).toBe(false)
          await s.waitIdle()
          if (count > 0) expect(isClosed || controller.signal.aborted).toBe(true)
        }
      ),
      { numRuns: 500 }
    ))
})

describe("retry and hedge, in every order in which promises may settle", () => {
  /** Models the attempts as a list of ends, of which the first success counts. */
  it("retry answers the first success, or the last error", () =>
    fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), async (s, ends) => {
        const answer = outcome(
          retry(
            async ({ attempt }) => {
              await s.schedule(Promise.resolve(), `attempt ${attempt}`)
              if (ends[attempt - 1] === true) return attempt
              throw attempt
            },
            { maxAttempts: ends.length, backoff: { base: 0.001, cap: 0.001, jitter: "none" } }
          )
        )
        const first = ends.indexOf(true)
        const end = await s.waitFor(answer)
        expect(end).toEqual(first < 0 ? { error: ends.length } : { value: first + 1 })
      }),
      { numRuns: 60 }
    ))

  it("hedge answers a success whenever one of its copies has one", () =>
    fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.array(fc.boolean(), { minLength: 2, maxLength: 3 }), async (s, ends) => {
        const answer = outcome(
          hedge(
            async ({ attempt }) => {
              await s.schedule(Promise.resolve(), `copy ${attempt}`)
              if (ends[attempt - 1] === true) return attempt
              throw attempt
            },
            { idempotent: true, delay: 0, maxCopies: ends.length }
          )
        )
        const end = await s.waitFor(answer)
        if ("value" in end) expect(ends[end.value - 1]).toBe(true)
        else expect(typeof end.error).toBe("number")
      }),
      { numRuns: 60 }
    ))
})
