// Every schedule of small programs, with an interruption at every point.

import { Explorer } from "@sluice/schedule-explorer"
import { AdaptiveLimit } from "@sluice/semaphore"
import { Admission } from "@sluice/server"
import { Effect, Exit, Fiber } from "effect"
import { HttpServerResponse } from "effect/http"
import { describe, it } from "vitest"
import { send } from "./support/requests.ts"

const isDefect = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && exit.cause.reasons.some((reason) => reason._tag === "Die")

const joined = (fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) =>
  Effect.gen(function* () {
    for (const exit of yield* Effect.forEach(fibers, Fiber.await)) {
      if (isDefect(exit)) yield* Effect.die(String(exit))
    }
  })

const isEmpty = (admission: Admission.Admission<"high">) =>
  Effect.suspend(() => {
    const { active, adaptive, classes } = admission.statsUnsafe()
    const left = [active, classes.high.held, classes.high.waiting, adaptive?.held ?? 0, adaptive?.waiting ?? 0]
    return left.every((figure) => figure === 0) ? Effect.void : Effect.die(`${left.join(", ")} left at the end`)
  })

const bounds = { maxPreemptions: 1, maxSchedules: 100_000 }
const slow = Effect.as(Effect.yieldNow, HttpServerResponse.empty())

/** Counts what runs at once. */
const counting = () => {
  const room = {
    inside: 0,
    use: <A, E, R>(self: (inside: number) => Effect.Effect<A, E, R>) =>
      Effect.acquireUseRelease(
        Effect.sync(() => ++room.inside),
        self,
        () => Effect.sync(() => void room.inside--)
      )
  }
  return room
}

describe("a drain", () => {
  it("lets nothing in once it is told, and ends when nothing is left, whoever is interrupted and when", () => {
    const program = Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: { high: { permits: 1, maxWaiting: 1 } } })
      const room = counting()
      let isDrained = false
      const handler = admission.admit("high")(
        room.use(() => (isDrained ? Effect.die("a request ran after the drain") : slow))
      )
      const drain = Effect.andThen(
        admission.drain,
        Effect.suspend(() => {
          isDrained = true
          return room.inside === 0 ? Effect.void : Effect.die(`${room.inside} requests ran at the end of the drain`)
        })
      )
      const fibers = [
        yield* Effect.forkChild(send(handler)),
        yield* Effect.forkChild(drain),
        yield* Effect.forkChild(send(handler))
      ]
      yield* joined(fibers)
      yield* isEmpty(admission)
    })
    Explorer.assert(program, { interruptions: 1, strategy: Explorer.exhaustive(bounds) })
  })
})

describe("shedding", () => {
  it("gives every permit and every place back, whoever is interrupted and when", () => {
    const program = Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { high: { permits: 2, maxWaiting: 1 } },
        adaptive: { algorithm: AdaptiveLimit.aimd({ initial: 1, min: 1, max: 1 }), maxWaiting: 1 }
      })
      const room = counting()
      const handler = admission.admit("high")(
        room.use((inside) => (inside > 1 ? Effect.die(`${inside} run at once`) : slow))
      )
      yield* joined(yield* Effect.forEach([1, 2], () => Effect.forkChild(send(handler))))
      yield* isEmpty(admission)
      const { status } = yield* send(admission.admit("high")(Effect.succeed(HttpServerResponse.empty())))
      if (status !== 204) yield* Effect.die(`the one that comes last is answered with ${status}`)
    })
    Explorer.assert(program, { interruptions: 1, strategy: Explorer.exhaustive(bounds) })
  })

  it("gives back what a wait was handed in the instant in which it ended", () => {
    const program = Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { high: { permits: 1, maxWaiting: 2, maxWait: "1 second" } }
      })
      const handler = admission.admit("high")(Effect.delay(slow, "1 second"))
      yield* joined(yield* Effect.forEach([1, 2], () => Effect.forkChild(send(handler))))
      yield* isEmpty(admission)
    })
    Explorer.assert(program, { interruptions: 1, strategy: Explorer.exhaustive(bounds) })
  })
})
