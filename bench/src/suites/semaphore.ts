// Permits against Effect's own Semaphore.

import { Semaphore } from "@sluice/semaphore"
import { Effect, Semaphore as EffectSemaphore } from "effect"
import { nanosPerOperation, type Suite } from "../harness.ts"

interface Permits {
  readonly withPermit: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

const none: Permits = { withPermit: (self) => self }

const uncontended = (permits: Permits, operations: number) =>
  nanosPerOperation(operations, () =>
    Effect.runPromise(
      Effect.gen(function* () {
        for (let n = 0; n < operations; n++) yield* permits.withPermit(Effect.void)
      })
    )
  )

/** `fibers` that each take a permit `operations / fibers` times and yield while they hold it. */
const contended = (permits: Permits, fibers: number, operations: number) => {
  const rounds = Math.max(1, Math.round(operations / fibers))
  const job = Effect.gen(function* () {
    for (let n = 0; n < rounds; n++) yield* permits.withPermit(Effect.yieldNow)
  })
  return nanosPerOperation(rounds * fibers, () =>
    Effect.runPromise(Effect.forEach(Array(fibers).keys(), () => job, { concurrency: "unbounded", discard: true }))
  )
}

/** How many light requests go before a heavy one that came first among those who wait. */
const overtaken = (permits: Pick<Semaphore.Semaphore, "withPermits">): Promise<number> => {
  let before = 0
  const light = permits.withPermits(1)(
    Effect.andThen(
      Effect.yieldNow,
      Effect.sync(() => before++)
    )
  )
  // A stream of light requests that never leaves a moment without one: 20 come in turn, 1,000 times each.
  const lights = Effect.forEach(Array(20).keys(), () => Effect.repeat(light, { times: 999 }), {
    concurrency: "unbounded",
    discard: true
  })
  return Effect.runPromise(
    Effect.gen(function* () {
      yield* Effect.forkChild(lights, { startImmediately: true })
      return yield* permits.withPermits(10)(Effect.sync(() => before))
    })
  )
}

const suite: Suite = {
  name: "semaphore",
  comparisons: [
    {
      name: "uncontended withPermit",
      unit: "ns/op",
      against: "Effect Semaphore",
      bar: 1,
      ours: () => uncontended(Semaphore.makeUnsafe(10), 200_000),
      peer: () => uncontended(EffectSemaphore.makeUnsafe(10), 200_000)
    },
    {
      name: "1,000 fibers on 10 permits",
      unit: "ns/op",
      against: "Effect Semaphore",
      bar: 25,
      ours: () => contended(Semaphore.makeUnsafe(10), 1000, 100_000),
      peer: () => contended(EffectSemaphore.makeUnsafe(10), 1000, 5000)
    },
    {
      name: "1,000 fibers on 10 permits, beside no semaphore at all",
      unit: "ns/op",
      against: "the same loop alone",
      bar: 1 / 3,
      ours: () => contended(Semaphore.makeUnsafe(10), 1000, 100_000),
      peer: () => contended(none, 1000, 100_000)
    },
    {
      // Effect's takes minutes for as many operations as ours does in this row: each fiber once is what can be waited for.
      name: "10,000 fibers on 10 permits",
      unit: "ns/op",
      against: "Effect Semaphore",
      bar: 80,
      rounds: 5,
      ours: () => contended(Semaphore.makeUnsafe(10), 10_000, 100_000),
      peer: () => contended(EffectSemaphore.makeUnsafe(10), 10_000, 10_000)
    },
    {
      name: "growth from 100 to 100,000 waiters",
      unit: "ns/op",
      against: "itself at 100 waiters",
      bar: 1 / 2.5,
      rounds: 5,
      ours: () => contended(Semaphore.makeUnsafe(10), 100_000, 500_000),
      peer: () => contended(Semaphore.makeUnsafe(10), 100, 500_000)
    },
    {
      name: "light requests that overtake a heavy one, of 20,000",
      unit: "requests",
      against: "Effect Semaphore",
      ours: () => overtaken(Semaphore.makeUnsafe(10)),
      peer: () => {
        const permits = EffectSemaphore.makeUnsafe(10)
        return overtaken({ withPermits: (count) => permits.withPermits(count) })
      }
    }
  ]
}

export default suite
