// One decision in memory.

import { KeyedRateLimiter, RateLimiter } from "@sluice/rate-limiter"
import { Effect } from "effect"
import { RateLimiter as EffectRateLimiter } from "effect/persistence"
import { RateLimiterMemory } from "rate-limiter-flexible"
import { nanosPerOperation, nanosPerOperationSync, type Suite } from "../harness.ts"

// So high that nothing is refused: refusals are cheaper in some of the peers.
const limit = 1_000_000_000
const operations = 200_000
const keys = Array.from({ length: 1000 }, (_, index) => `client-${index}`)

const keyAt = (n: number): string => keys[n % keys.length] ?? ""

const oursSync = () => {
  const limiter = KeyedRateLimiter.makeUnsafe({ limit, interval: "1 second" })
  return nanosPerOperationSync(operations, () => {
    for (let n = 0; n < operations; n++) limiter.tryTakeUnsafe(Date.now(), keyAt(n))
  })
}

const flexible = () => {
  const limiter = new RateLimiterMemory({ points: limit, duration: 1 })
  return nanosPerOperation(operations, async () => {
    for (let n = 0; n < operations; n++) await limiter.consume(keyAt(n))
  })
}

const oursEffect = () => {
  const limiter = RateLimiter.makeUnsafe({ limit, interval: "1 second" })
  return nanosPerOperation(operations, () =>
    Effect.runPromise(
      Effect.gen(function* () {
        for (let n = 0; n < operations; n++) yield* limiter.tryTake()
      })
    )
  )
}

const effects = () =>
  nanosPerOperation(operations, () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const limiter = yield* EffectRateLimiter.make
        const options = {
          key: "key",
          limit,
          window: "1 second",
          algorithm: "token-bucket",
          onExceeded: "fail"
        } as const
        for (let n = 0; n < operations; n++) yield* limiter.consume(options)
      }).pipe(Effect.provide(EffectRateLimiter.layerStoreMemory))
    )
  )

const heldBytes = (fill: () => unknown): number => {
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  const held = fill()
  globalThis.gc?.()
  const bytes = process.memoryUsage().heapUsed - before
  if (held === undefined) throw new Error("nothing was held")
  return bytes
}

const million = Array.from({ length: 1_000_000 }, (_, index) => `address-${index}`)

const suite: Suite = {
  name: "rate-limiter",
  comparisons: [
    {
      name: "one decision by key, synchronous, 1,000 keys",
      unit: "ns/op",
      against: "rate-limiter-flexible",
      bar: 2,
      ours: oursSync,
      peer: flexible
    },
    {
      name: "one decision as an effect",
      unit: "ns/op",
      against: "Effect RateLimiter",
      bar: 4,
      ours: oursEffect,
      peer: effects
    },
    {
      name: "memory for a key, a million keys, beyond the key itself",
      unit: "bytes",
      against: "the allowance of 150",
      bar: 1,
      rounds: 5,
      ours: () =>
        heldBytes(() => {
          const limiter = KeyedRateLimiter.makeUnsafe({ limit: 10, interval: "1 hour", maxKeys: 4_000_000 })
          for (const key of million) limiter.tryTakeUnsafe(0, key)
          return limiter
        }) / million.length,
      peer: () => 150
    }
  ]
}

export default suite
