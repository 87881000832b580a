import { AdaptiveLimit } from "@sluice/semaphore"
import { Admission } from "@sluice/server"
import { Deferred, Effect, Fiber } from "effect"
import { HttpServerResponse } from "effect/http"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { send } from "./support/requests.ts"

const names = ["high", "medium", "controlled"] as const
const ageing = 2

type Step = { readonly arrive: 0 | 1 | 2 } | { readonly end: number } | { readonly leave: number }

const steps: fc.Arbitrary<ReadonlyArray<Step>> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ arrive: fc.constantFrom(0 as const, 1 as const, 2 as const) }) },
    { weight: 2, arbitrary: fc.record({ end: fc.nat(50) }) },
    { weight: 1, arbitrary: fc.record({ leave: fc.nat(50) }) }
  ),
  { maxLength: 40 }
)

/** What should become of a request. */
type State = "waiting" | "running" | "done" | "shed" | "gone"

interface Modelled {
  readonly priority: number
  readonly rank: number
  state: State
}

/** Takes and leaves one request after the other, and looks at all of them. */
class Model {
  readonly requests: Array<Modelled> = []
  private readonly permits: number
  private readonly maxWaiting: number
  private arrivals = 0

  constructor(permits: number, maxWaiting: number) {
    this.permits = permits
    this.maxWaiting = maxWaiting
  }

  in(state: State): ReadonlyArray<Modelled> {
    return this.requests.filter((request) => request.state === state)
  }

  arrive(priority: number): void {
    const mayRun = this.in("running").length < this.permits && this.in("waiting").length === 0
    const places = Math.ceil((this.maxWaiting * (names.length - priority)) / names.length)
    const state = mayRun ? "running" : this.in("waiting").length < places ? "waiting" : "shed"
    const rank = state === "waiting" ? this.arrivals++ + priority * ageing : 0
    this.requests.push({ priority, rank, state })
  }

  end(request: Modelled, state: "done" | "gone"): void {
    request.state = state
    while (this.in("running").length < this.permits) {
      // The sort is stable: of two with one rank the one that came first goes first, of equals in urgency.
      const next = [...this.in("waiting")].sort((a, b) => a.rank - b.rank || a.priority - b.priority)[0]
      if (next === undefined) return
      next.state = "running"
    }
  }
}

const picked = <A>(from: ReadonlyArray<A>, by: number): A | undefined => from[by % Math.max(1, from.length)]

describe("an admission with a limit over all classes", () => {
  /** Models a line with places by urgency before a number of permits, walked one request at a time. */
  it("admits, sheds and orders requests as a sequential model does", () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.nat(9), steps, (permits, maxWaiting, script) =>
        Effect.gen(function* () {
          const admission = yield* Admission.make({
            classes: {
              high: { permits: 99 },
              medium: { permits: 99, priority: 1 },
              controlled: { permits: 99, priority: 2 }
            },
            adaptive: {
              algorithm: AdaptiveLimit.aimd({ initial: permits, min: permits, max: permits }),
              maxWaiting,
              ageing
            }
          })
          const model = new Model(permits, maxWaiting)
          interface Request {
            fiber: Fiber.Fiber<unknown>
            readonly gate: Deferred.Deferred<void>
            state: State
          }
          const real: Array<Request> = []
          for (const step of script) {
            if ("arrive" in step) {
              model.arrive(step.arrive)
              const gate = yield* Deferred.make<void>()
              const index = real.length
              const handler = Effect.suspend(() => {
                const entry = real[index]
                if (entry !== undefined) entry.state = "running"
                return Effect.as(Deferred.await(gate), HttpServerResponse.empty())
              })
              const entry: Request = { fiber: yield* Effect.forkChild(Effect.void), gate, state: "waiting" }
              real.push(entry)
              const answered = send(admission.admit(names[step.arrive])(handler)).pipe(
                Effect.tap(({ status }) => Effect.sync(() => (entry.state = status === 503 ? "shed" : "done")))
              )
              entry.fiber = yield* Effect.forkChild(answered, { startImmediately: true })
            } else {
              const from = "end" in step ? model.in("running") : [...model.in("running"), ...model.in("waiting")]
              const request = picked(from, "end" in step ? step.end : step.leave)
              const entry = request === undefined ? undefined : real[model.requests.indexOf(request)]
              if (request === undefined || entry === undefined) continue
              if ("end" in step) {
                yield* Deferred.succeed(entry.gate, undefined)
                yield* Fiber.await(entry.fiber)
                model.end(request, "done")
              } else {
                yield* Fiber.interrupt(entry.fiber)
                entry.state = "gone"
                model.end(request, "gone")
              }
            }
            // Whoever was handed a permit runs when its turn in the scheduler comes.
            yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
            expect(real.map(({ state }) => state)).toEqual(model.requests.map(({ state }) => state))
          }
          const { active, adaptive } = admission.statsUnsafe()
          expect(active).toBe(model.in("running").length + model.in("waiting").length)
          expect(adaptive).toMatchObject({
            held: model.in("running").length,
            waiting: model.in("waiting").length,
            rejected: model.in("shed").length
          })
          yield* Effect.forEach(real, ({ fiber }) => Fiber.interrupt(fiber), { concurrency: "unbounded" })
          expect(admission.statsUnsafe()).toMatchObject({ active: 0, adaptive: { held: 0, waiting: 0 } })
        }).pipe(Effect.runPromise)
      ),
      { numRuns: 200 }
    ))

  /** Models nothing but the rule: who is less urgent is never let in where the more urgent is not. */
  it("never sheds a class where it would let a less urgent one in", () =>
    fc.assert(
      fc.asyncProperty(fc.nat(12), fc.nat(12), (maxWaiting, before) =>
        Effect.gen(function* () {
          const outcomes = yield* Effect.forEach(names, (name) =>
            Effect.gen(function* () {
              const admission = yield* Admission.make({
                classes: {
                  high: { permits: 99 },
                  medium: { permits: 99, priority: 1 },
                  controlled: { permits: 99, priority: 2 }
                },
                adaptive: { algorithm: AdaptiveLimit.aimd({ initial: 1, min: 1, max: 1 }), maxWaiting }
              })
              const enter = (which: (typeof names)[number]) =>
                Effect.forkChild(send(admission.admit(which)(Effect.never)), { startImmediately: true })
              for (let count = 0; count <= before; count++) yield* enter("high")
              const { adaptive } = admission.statsUnsafe()
              yield* enter(name)
              return admission.statsUnsafe().adaptive?.rejected === adaptive?.rejected
            })
          )
          expect([...outcomes].sort((a, b) => Number(b) - Number(a))).toEqual(outcomes)
        }).pipe(Effect.runPromise)
      ),
      { numRuns: 60 }
    ))
})
