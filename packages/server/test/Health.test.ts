import { describe, expect, it } from "@effect/vitest"
import { Semaphore } from "@sluice/semaphore"
import { Health } from "@sluice/server"
import { Effect, Exit } from "effect"
import * as fc from "fast-check"

describe("health", () => {
  it.effect("tells of every resource what is in use, in all and as a share", () =>
    Effect.gen(function* () {
      const llm = yield* Semaphore.make(5)
      const file = yield* Semaphore.make(50)
      yield* llm.take(2)
      yield* file.take(5)
      const health = yield* Health.make({
        resources: { llm_semaphore: llm, file_semaphore: file },
        configuration: { workers: 4 }
      })
      expect((yield* health.report).status).toBe("starting")
      expect((yield* health.readiness).status).toBe(503)
      yield* health.ready
      expect((yield* health.readiness).status).toBe(200)
      const report = yield* health.report
      expect(report).toMatchObject({
        status: "healthy",
        concurrency: {
          active_tasks: 7,
          llm_semaphore: { available: 3, total: 5, utilization: "40.0%" },
          file_semaphore: { available: 45, total: 50, utilization: "10.0%" }
        },
        configuration: { workers: 4 }
      })
      for (const figure of Object.values(report.system)) expect(figure).toBeGreaterThanOrEqual(0)
      expect(report.system.process_memory_mb).toBeGreaterThan(1)
      yield* llm.take(3)
      expect((yield* health.report).status).toBe("degraded")
      yield* health.drain
      expect((yield* health.report).status).toBe("draining")
      yield* health.ready
      expect((yield* health.readiness).status).toBe(503)
      expect((yield* health.liveness).status).toBe(200)
    })
  )

  it.effect("refuses a share that is none", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Health.make({ degradedAt: 0 }))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("degradedAt 0")
    })
  )
})

const worker = (name: string, more: Partial<Health.Snapshot> = {}): Health.Snapshot => ({
  worker: name,
  pid: 1,
  phase: "ready",
  uptimeSeconds: 1,
  activeTasks: 1,
  degradedAt: 1,
  resources: { llm: { capacity: 5, held: 2, waiting: 1, rejected: 0, isShared: false } },
  system: { cpu_percent: 10, memory_percent: 40, memory_available_gb: 8, process_memory_mb: 100 },
  configuration: { workers: 2 },
  ...more
})

describe("the health of several workers", () => {
  it("adds up what is theirs, and tells once what is the machine's", () => {
    const report = Health.aggregate([worker("b"), worker("a", { pid: 7 })])
    expect(report).toMatchObject({
      status: "healthy",
      concurrency: { active_tasks: 2, llm: { available: 6, total: 10, utilization: "40.0%" } },
      system: { cpu_percent: 20, memory_percent: 40, memory_available_gb: 8, process_memory_mb: 200 },
      configuration: { workers: 2 }
    })
    expect(report.workers.map(({ pid, worker }) => [worker, pid])).toEqual([
      ["a", 7],
      ["b", 1]
    ])
  })

  it("counts what all share once", () => {
    const shared = (held: number) => ({
      resources: { llm: { capacity: 5, held, waiting: 0, rejected: 0, isShared: true } }
    })
    const { concurrency } = Health.aggregate([worker("a", shared(2)), worker("b", shared(3))])
    expect(concurrency["llm"]).toEqual({ available: 2, total: 5, utilization: "60.0%" })
  })

  it("is degraded where workers are missing or a resource is used up over all", () => {
    const full = { resources: { llm: { capacity: 5, held: 5, waiting: 0, rejected: 0, isShared: false } } }
    const statusOf = (...args: Parameters<typeof Health.aggregate>) => Health.aggregate(...args).status
    expect(statusOf([worker("a"), worker("b", full)])).toBe("healthy")
    expect(Health.aggregate([worker("a"), worker("b", full)]).workers[1]?.status).toBe("degraded")
    expect(statusOf([worker("a", full), worker("b", full)])).toBe("degraded")
    expect(statusOf([worker("a")], { expected: 2 })).toBe("degraded")
    expect(statusOf([worker("a"), worker("b", { phase: "starting" })])).toBe("degraded")
    expect(statusOf([worker("a"), worker("b", { phase: "draining" })])).toBe("healthy")
    expect(statusOf([worker("a", { phase: "starting" })])).toBe("starting")
    expect(statusOf([worker("a", { phase: "draining" })])).toBe("draining")
    expect(statusOf([])).toBe("starting")
  })

  it.effect("is what a worker reports that is given the snapshots of the others", () =>
    Effect.gen(function* () {
      const llm = yield* Semaphore.make(5)
      const health = yield* Health.make({
        worker: "a",
        resources: { llm },
        workers: Effect.succeed([worker("a", { activeTasks: 99 }), worker("b")])
      })
      yield* health.ready
      const report = yield* health.report
      expect(report.concurrency).toMatchObject({ active_tasks: 1, llm: { total: 10, available: 8 } })
      expect(yield* health.phase).toBe("ready")
      expect(JSON.parse(JSON.stringify(yield* health.snapshot))).toEqual(health.snapshotUnsafe())
    })
  )

  const figures = fc.record({
    capacity: fc.nat(100),
    held: fc.nat(100),
    waiting: fc.nat(100),
    rejected: fc.nat(100),
    isShared: fc.constant(false)
  })
  const snapshots = fc
    .uniqueArray(
      fc.record({
        worker: fc.string(),
        phase: fc.constantFrom("starting" as const, "ready" as const, "draining" as const),
        activeTasks: fc.nat(100),
        resources: fc.dictionary(fc.constantFrom("llm", "file", "batch"), figures)
      }),
      { selector: ({ worker }) => worker }
    )
    .map((all) => all.map((more) => worker(more.worker, more)))

  /** Models the whole as the sum over its workers, taken one by one. */
  it("is the sum over the workers", () =>
    fc.assert(
      fc.property(snapshots, (all) => {
        const merged = Health.mergeResources(all)
        for (const name of ["llm", "file", "batch"]) {
          const each = all.flatMap(({ resources }) => resources[name] ?? [])
          expect(merged[name]?.held ?? 0).toBe(each.reduce((sum, { held }) => sum + held, 0))
          expect(merged[name]?.capacity ?? 0).toBe(each.reduce((sum, { capacity }) => sum + capacity, 0))
        }
        expect(Health.aggregate(all).concurrency.active_tasks).toBe(
          all.reduce((sum, { activeTasks }) => sum + activeTasks, 0)
        )
      })
    ))

  /** Models what comes from workers over sockets: in any order, and some of it twice. */
  it("does not depend on the order in which they tell", () =>
    fc.assert(
      fc.property(snapshots, fc.nat(), (all, by) => {
        const turn = all.length === 0 ? 0 : by % all.length
        const turned = [...all.slice(turn), ...all.slice(0, turn), ...all.slice(0, turn)]
        expect(Health.aggregate(turned)).toEqual(Health.aggregate(all))
      })
    ))
})
