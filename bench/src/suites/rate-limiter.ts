// One decision in memory, and beside the peers: how fast, how exact, and how fair.

import { KeyedRateLimiter, RateLimiter } from "@sluice/rate-limiter"
import Bottleneck from "bottleneck"
import { Effect } from "effect"
import { RateLimiter as EffectRateLimiter } from "effect/persistence"
import { RateLimiter as Limiter } from "limiter"
import PQueue from "p-queue"
import { RateLimiterMemory, RateLimiterQueue } from "rate-limiter-flexible"
import { type Comparison, nanosPerOperation, nanosPerOperationSync, type Suite } from "../harness.ts"

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

const oursDirect = () => {
  const limiter = RateLimiter.makeUnsafe({ limit, interval: "1 second" })
  return nanosPerOperationSync(operations, () => {
    for (let n = 0; n < operations; n++) limiter.tryTakeUnsafe(Date.now())
  })
}

const limiterDirect = () => {
  const limiter = new Limiter({ tokensPerInterval: limit, interval: "second" })
  return nanosPerOperationSync(operations, () => {
    for (let n = 0; n < operations; n++) limiter.tryRemoveTokens(1)
  })
}

const oursTasks = (tasks: number) => () => {
  const limiter = RateLimiter.makeUnsafe({ limit, interval: "1 second" })
  const task = limiter.limit()(Effect.void)
  return nanosPerOperation(tasks, () => Promise.all(Array.from({ length: tasks }, () => Effect.runPromise(task))))
}

const pQueueTasks = (tasks: number) => () => {
  const queue = new PQueue({ interval: 1000, intervalCap: limit })
  return nanosPerOperation(tasks, () => Promise.all(Array.from({ length: tasks }, () => queue.add(async () => {}))))
}

const bottleneckTasks = (tasks: number) => () => {
  const reservoir = { reservoir: limit, reservoirRefreshAmount: limit, reservoirRefreshInterval: 1000 }
  const bottleneck = new Bottleneck(reservoir)
  return nanosPerOperation(tasks, async () => {
    await Promise.all(Array.from({ length: tasks }, () => bottleneck.schedule(async () => {})))
    await bottleneck.disconnect()
  })
}

// Precision: twenty requests in 250 ms are promised. One comes, then none until shortly before the end of its window,
// then as many as there are: the pattern at which limits that count by the window let twice as much through.
const promised = 20
const interval = 250
const quiet = 225
const crowd = 3 * promised

const worstWindow = (times: ReadonlyArray<number>): number => {
  let worst = 0
  let from = 0
  for (const [to, time] of times.entries()) {
    // A millisecond to the good of timers that are early.
    while (time - (times[from] ?? time) >= interval - 1) from++
    worst = Math.max(worst, to - from + 1)
  }
  return worst
}

const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

const oursPrecision = (options: RateLimiter.Options) => () => {
  const limiter = RateLimiter.makeUnsafe(options)
  const times: Array<number> = []
  if (limiter.tryTakeUnsafe(0).allowed) times.push(0)
  for (let millis = quiet; millis < quiet + 3 * interval; millis++) {
    while (limiter.tryTakeUnsafe(millis).allowed) times.push(millis)
  }
  return worstWindow(times)
}

const precisionOfTries = (make: () => () => boolean | Promise<boolean>) => async () => {
  const tryOne = make()
  const times: Array<number> = []
  const attempt = async () => {
    if (await tryOne()) times.push(performance.now())
  }
  await attempt()
  await pause(quiet)
  const end = performance.now() + 2 * interval
  while (performance.now() < end) {
    for (let n = 0; n < promised; n++) await attempt()
    await pause(1)
  }
  return worstWindow(times)
}

const precisionOfTasks = (make: () => (task: () => Promise<void>) => Promise<unknown>) => async () => {
  const schedule = make()
  const times: Array<number> = []
  const task = async () => void times.push(performance.now())
  await schedule(task)
  await pause(quiet)
  await Promise.all(Array.from({ length: crowd }, () => schedule(task)))
  return worstWindow(times)
}

const limiterTries = () => {
  const limiter = new Limiter({ tokensPerInterval: promised, interval })
  return () => limiter.tryRemoveTokens(1)
}

const flexibleTries = () => {
  const limiter = new RateLimiterMemory({ points: promised, duration: interval / 1000 })
  return () =>
    limiter.consume("key").then(
      () => true,
      () => false
    )
}

const effectTasks = (algorithm: "fixed-window" | "token-bucket") => () => {
  const limiter = Effect.runSync(Effect.provide(EffectRateLimiter.make, EffectRateLimiter.layerStoreMemory))
  const options = { key: "key", limit: promised, window: interval, algorithm, onExceeded: "delay" } as const
  return (task: () => Promise<void>) =>
    Effect.runPromise(
      Effect.flatMap(limiter.consume(options), ({ delay }) => Effect.delay(Effect.promise(task), delay))
    )
}

const bottleneckOptions = {
  reservoir: promised,
  reservoirRefreshAmount: promised,
  reservoirRefreshInterval: interval
} as const

const pQueuePrecision = () => {
  const queue = new PQueue({ interval, intervalCap: promised })
  return (task: () => Promise<void>) => queue.add(task)
}

const bottleneckPrecision = () => {
  const bottleneck = new Bottleneck(bottleneckOptions)
  return async (task: () => Promise<void>) => {
    await bottleneck.schedule(task)
  }
}

// Fairness: all is taken; one comes that needs the whole limit, then light ones. The place at which the heavy one is
// served among them: 1 is its own.
const light = 40

const placeOf = async (take: (weight: number) => Promise<unknown>): Promise<number> => {
  let served = 0
  await take(promised)
  const heavy = take(promised).then(() => ++served)
  const lights = Array.from({ length: light }, () => take(1).then(() => ++served))
  const place = await heavy
  await Promise.all(lights)
  return place
}

const oursPlace = () => {
  const limiter = RateLimiter.makeUnsafe({ limit: promised, interval })
  return placeOf((weight) => Effect.runPromise(limiter.take(weight)))
}

const limiterPlace = () => {
  const limiter = new Limiter({ tokensPerInterval: promised, interval })
  return placeOf((weight) => limiter.removeTokens(weight))
}

const flexiblePlace = () => {
  const queue = new RateLimiterQueue(new RateLimiterMemory({ points: promised, duration: 1 }))
  return placeOf((weight) => queue.removeTokens(weight))
}

const bottleneckPlace = async () => {
  const bottleneck = new Bottleneck(bottleneckOptions)
  const place = await placeOf((weight) => bottleneck.schedule({ weight }, async () => {}))
  await bottleneck.disconnect()
  return place
}

const effectPlace = () => {
  const limiter = Effect.runSync(Effect.provide(EffectRateLimiter.make, EffectRateLimiter.layerStoreMemory))
  const options = { key: "key", limit: promised, window: interval, algorithm: "token-bucket" } as const
  const sleeping = EffectRateLimiter.sleep(limiter)
  return placeOf((tokens) => Effect.runPromise(sleeping({ ...options, tokens })))
}

/** Bytes a key that remain after ten million distinct ones, beyond what remained after one million. */
const steadyBytes = () => {
  const limiter = KeyedRateLimiter.makeUnsafe({ limit: 1, interval: "1 hour", maxKeys: 100_000 })
  const pass = (from: number, to: number) => {
    for (let key = from; key < to; key++) limiter.tryTakeUnsafe(key / 1000, `k${key}`)
    globalThis.gc?.()
    return process.memoryUsage().heapUsed
  }
  const before = pass(0, 1_000_000)
  return Math.max(1, (pass(1_000_000, 10_000_000) - before) / 100_000)
}

const exact = { limit: promised, interval, algorithm: "sliding-window-log" } as const

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
    },
    {
      name: "growth of memory from one to ten million distinct keys, 100,000 kept, for each kept",
      unit: "bytes",
      against: "the allowance of 150",
      bar: 1,
      rounds: 5,
      ours: steadyBytes,
      peer: () => 150
    },
    { name: "one decision, synchronous", unit: "ns/op", against: "limiter", ours: oursDirect, peer: limiterDirect },
    {
      name: "a task as a promise",
      unit: "ns/op",
      against: "p-queue, interval",
      ours: oursTasks(20_000),
      peer: pQueueTasks(20_000)
    },
    {
      name: "a task as a promise",
      unit: "ns/op",
      against: "bottleneck",
      rounds: 5,
      ours: oursTasks(1000),
      peer: bottleneckTasks(1000)
    },
    ...(
      [
        ["limiter", precisionOfTries(limiterTries)],
        ["rate-limiter-flexible", precisionOfTries(flexibleTries)],
        ["p-queue, interval", precisionOfTasks(pQueuePrecision)],
        ["bottleneck, reservoir", precisionOfTasks(bottleneckPrecision)],
        ["Effect RateLimiter, fixed window", precisionOfTasks(effectTasks("fixed-window"))],
        ["Effect RateLimiter, token bucket", precisionOfTasks(effectTasks("token-bucket"))],
        ["our own GCRA, burst 1", oursPrecision({ limit: promised, interval, burst: 1 })],
        ["our own GCRA, burst as the limit", oursPrecision({ limit: promised, interval })]
      ] as const
    ).map(
      ([against, peer]): Comparison => ({
        name: `precision: requests in the worst window of 250 ms where ${promised} are promised, sliding log`,
        unit: "requests",
        against,
        rounds: 5,
        ours: oursPrecision(exact),
        peer
      })
    ),
    ...(
      [
        ["limiter", limiterPlace],
        ["rate-limiter-flexible, queue", flexiblePlace],
        ["bottleneck, reservoir", bottleneckPlace],
        ["Effect RateLimiter, token bucket", effectPlace]
      ] as const
    ).map(
      ([against, peer]): Comparison => ({
        name: `fairness: place at which a request of weight ${promised} is served before ${light} light ones that came later`,
        unit: "requests",
        against,
        rounds: 5,
        ours: oursPlace,
        peer
      })
    )
  ]
}

export default suite
