// The pool over `fetch`, with a fake one. It is made of promises, which only the
// platform schedules; so fast-check decides when each answer, each piece of a
// body and each cancellation comes, and shrinks the order that breaks a law.

import { FetchPool } from "@sluice/http-pool/fetch"
import { Context, Effect, Exit, Fiber, Layer } from "effect"
import { HttpClient } from "effect/http"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

type Fate = "answered" | "in pieces" | "without a body" | "refused"

const fates: ReadonlyArray<Fate> = ["answered", "in pieces", "without a body", "refused"]

interface Request {
  readonly fate: Fate
  readonly origin: "a" | "b" | "c"
  /** Turns of the schedule after which it is given up, if it is. */
  readonly givenUpAfter: number | undefined
}

const request = fc.record<Request>({
  fate: fc.constantFrom(...fates),
  origin: fc.constantFrom("a", "b", "c"),
  givenUpAfter: fc.option(fc.nat(6), { nil: undefined })
})

/** A `fetch` that answers when the schedule says so, and counts what it is in the middle of. */
const fakeFetch = (schedule: fc.Scheduler) => {
  const count = { now: 0, most: 0 }
  const turn = (name: string): Promise<string> => schedule.schedule(Promise.resolve(name), name)
  const fetch: typeof globalThis.fetch = async (input, init) => {
    count.now++
    count.most = Math.max(count.most, count.now)
    let isOver = false
    const end = (): void => {
      if (!isOver) count.now--
      isOver = true
    }
    init?.signal?.addEventListener("abort", end, { once: true })
    const fate = new URL(String(input)).pathname.slice(1)
    await turn(`answer to ${fate}`)
    if (init?.signal?.aborted === true || fate === "refused") {
      end()
      throw new TypeError("fetch failed")
    }
    if (fate === "without-a-body") {
      end()
      return new Response(null, { status: 204 })
    }
    let left = fate === "in-pieces" ? 3 : 1
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: async (controller) => {
          await turn(`piece of ${fate}`)
          if (isOver) return
          if (left-- > 0) controller.enqueue(new TextEncoder().encode("x"))
          else {
            end()
            controller.close()
          }
        },
        cancel: end
      },
      { highWaterMark: 0 }
    )
    return new Response(body)
  }
  return { fetch, count }
}

/** Lets fibers, which go on in tasks of the platform, come as far as they can. */
const caughtUp = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

/** What a request comes to if nobody gives it up. */
const expected: Readonly<Record<Fate, string | undefined>> = {
  answered: "x",
  "in pieces": "xxx",
  "without a body": "",
  refused: undefined
}

describe("FetchPool", () => {
  /** Models the pool as a limit on what the fake is in the middle of, and a request's outcome as that of its fate. */
  it("keeps its limits, answers whoever stays and holds nothing for whoever left, in any order of events", () =>
    fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(request, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 2 }),
        async (schedule, requests, maxConnections) => {
          const { count, fetch } = fakeFetch(schedule)
          const program = Effect.gen(function* () {
            const context = yield* Layer.build(
              FetchPool.layer({ maxConnections, maxConnectionsPerOrigin: 1, poolTimeout: "2 seconds", fetch })
            )
            const client = Context.get(context, HttpClient.HttpClient)
            const fibers = yield* Effect.forEach(requests, ({ fate, origin }) =>
              Effect.forkChild(
                Effect.flatMap(client.get(`http://${origin}.test/${fate.replaceAll(" ", "-")}`), ({ text }) => text)
              )
            )
            for (const [index, fiber] of fibers.entries()) {
              const turns = requests[index]?.givenUpAfter
              if (turns === undefined) continue
              const leave = async (): Promise<void> => {
                for (let turn = 0; turn <= turns; turn++) {
                  await caughtUp()
                  await schedule.schedule(Promise.resolve(), `request ${index} is given up after ${turns - turn} more`)
                }
                fiber.interruptUnsafe()
              }
              void leave()
            }
            const exits = yield* Effect.forEach(fibers, Fiber.await)
            // The promises of a fiber that was interrupted end after it.
            yield* Effect.promise(caughtUp)
            // Whoever left has taken no permit along: every origin is still served.
            for (const origin of ["a", "b", "c"]) {
              const { status } = yield* client.get(`http://${origin}.test/without-a-body`)
              expect(status).toBe(204)
            }
            return { exits, stats: Context.get(context, FetchPool.FetchPool).statsUnsafe() }
          })
          const { exits, stats } = await schedule.waitFor(Effect.runPromise(Effect.scoped(program)))
          expect(count.most).toBeLessThanOrEqual(maxConnections)
          expect(stats).toMatchObject({ inFlight: 0, waiting: 0 })
          expect(count.now).toBe(0)
          for (const [index, exit] of exits.entries()) {
            const { fate, givenUpAfter } = requests[index] ?? { fate: "refused", givenUpAfter: 0 }
            if (givenUpAfter !== undefined && Exit.hasInterrupts(exit)) continue
            expect(Exit.isSuccess(exit) ? exit.value : undefined).toBe(expected[fate])
          }
        }
      ),
      { numRuns: 300 }
    ))
})
