import { Effect, Fiber } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import * as Result from "../src/results/Result.ts"
import { drive } from "../src/run/Drive.ts"
import type { View } from "../src/run/Execute.ts"
import { arrivals, planOf, targeting, users } from "./plans.ts"
import { httpServer, type Running } from "./servers.ts"

let server: Running
let run = 0
let asked = 0
let onAsked = (): void => {}

beforeAll(async () => {
  server = await httpServer((request, response) => {
    // What was under way when another test ended may still come.
    if (request.url === `/${run}`) {
      asked++
      onAsked()
    }
    response.end("hello")
  })
})
afterAll(() => server.close())

const url = (): string => `http://127.0.0.1:${server.port}/${run}`
const begin = (): void => {
  run++
  asked = 0
}

it("does a count of iterations once, on as many threads as it is told", async () => {
  begin()
  let view: View | undefined
  const { ending, result } = await Effect.runPromise(
    drive(targeting({ url: url() }, users(7, 500)), {
      workers: 3,
      begun: (running) => {
        view = running
      }
    })
  )
  expect(ending).toEqual({ kind: "completed" })
  expect(asked).toBe(500)
  expect(result.client.recorders).toBe(3)
  expect(result.opened).toBe(7)
  const total = Result.total(result.steps)
  expect(total.requests).toBe(500)
  expect(total.latency.count).toBe(500)
  // What the threads counted together in shared memory is what their results come to.
  const totals = view?.totals?.instruments
  expect(totals?.requests.value).toBe(500)
  expect(totals?.failed.value).toBe(0)
  expect(totals?.iterations.value).toBe(500)
  expect(totals?.bytesIn.value).toBe(total.bytesIn)
  expect(totals?.opened.value).toBe(7)
  expect(totals?.reused.value).toBe(493)
  expect(totals?.latency.snapshot().count).toBe(500)
}, 60_000)

it.each([1, 2])(
  "tells what there is when it is interrupted, on %i threads",
  async (workers) => {
    begin()
    const many = new Promise<void>((resolve) => {
      onAsked = () => {
        if (asked >= 50) resolve()
      }
    })
    let view: View | undefined
    const fiber = Effect.runFork(
      drive(targeting({ url: url() }, users(4, 1_000_000)), {
        workers,
        begun: (running) => {
          view = running
        }
      })
    )
    await many
    await Effect.runPromise(Fiber.interrupt(fiber))
    const total = Result.total(view?.result().steps ?? [])
    // All but what was under way.
    expect(total.requests).toBeGreaterThanOrEqual(50 - 4)
    expect(total.requests).toBeLessThanOrEqual(asked)
    expect(total.failed).toBe(0)
  },
  60_000
)

it("keeps a plan of arrivals together", async () => {
  begin()
  const { result } = await Effect.runPromise(drive(targeting({ url: url() }, arrivals(200, 1)), { workers: 3 }))
  expect(asked).toBe(200)
  expect(result.windows.reduce((sum, { planned }) => sum + planned, 0)).toBe(200)
}, 60_000)

it("ends an open model with the last iteration that is asked for", async () => {
  begin()
  const load = { ...arrivals(200, 3600), iterations: 30 }
  const { result } = await Effect.runPromise(drive(targeting({ url: url() }, load)))
  expect(asked).toBe(30)
  // The next would have been due then.
  expect(Result.seconds(result)).toBeGreaterThanOrEqual(0.15)
})

it("fails with what made a thread fail", async () => {
  const plan = planOf([
    {
      name: "missing",
      startAfterSeconds: 0,
      load: users(1, 1),
      source: { kind: "module", path: "/nowhere/scenario.ts", names: ["missing"] }
    }
  ])
  await expect(Effect.runPromise(drive(plan, { workers: 2 }))).rejects.toThrow("Cannot run /nowhere/scenario.ts")
}, 60_000)
