// The toolkit for promises against the libraries that people use for the same.

import { createKeyedSemaphore, createSemaphore, map } from "@sluice/promise"
import { Sema } from "async-sema"
import Bottleneck from "bottleneck"
import pLimit from "p-limit"
import PQueue from "p-queue"
import { nanosPerOperation, type Suite } from "../harness.ts"

const permits = 10

/** `tasks` loops at once, each of which does its part of the operations one after another. */
const loops = (tasks: number, operations: number, loop: (times: number) => Promise<void>): Promise<number> => {
  const times = Math.max(1, Math.round(operations / tasks))
  return nanosPerOperation(times * tasks, () => Promise.all(Array.from({ length: tasks }, () => loop(times))))
}

const giveWay = async (): Promise<void> => {
  await null
}

/** By functions that are run; each gives way once. */
const byRun = (tasks: number, operations: number, run: (f: () => Promise<void>) => Promise<unknown>): Promise<number> =>
  loops(tasks, operations, async (times) => {
    for (let time = 0; time < times; time++) await run(giveWay)
  })

/** By taking and releasing; each gives way once in between. */
const byPair = (tasks: number, operations: number): Promise<number> => {
  const semaphore = createSemaphore(permits)
  return loops(tasks, operations, async (times) => {
    for (let time = 0; time < times; time++) {
      await semaphore.take()
      await null
      semaphore.release()
    }
  })
}

const byAsyncSema = (tasks: number, operations: number): Promise<number> => {
  const sema = new Sema(permits)
  return loops(tasks, operations, async (times) => {
    for (let time = 0; time < times; time++) {
      await sema.acquire()
      await null
      sema.release()
    }
  })
}

const ours = (tasks: number, operations: number): Promise<number> =>
  byRun(tasks, operations, createSemaphore(permits).run)

const pLimits = (tasks: number, operations: number): Promise<number> => byRun(tasks, operations, pLimit(permits))

const pQueue = (tasks: number, operations: number): Promise<number> => {
  const queue = new PQueue({ concurrency: permits })
  return byRun(tasks, operations, (f) => queue.add(f))
}

const bottleneck = (tasks: number, operations: number): Promise<number> => {
  const limiter = new Bottleneck({ maxConcurrent: permits })
  return byRun(tasks, operations, (f) => limiter.schedule(f))
}

const suite: Suite = {
  name: "promise",
  comparisons: [
    {
      name: "take and release, 1,000 tasks on 10 permits",
      unit: "ns/op",
      against: "async-sema",
      bar: 1,
      rounds: 15,
      ours: () => byPair(1000, 300_000),
      peer: () => byAsyncSema(1000, 300_000)
    },
    {
      name: "the same beside functions that p-limit runs",
      unit: "ns/op",
      against: "p-limit",
      bar: 3,
      ours: () => byPair(1000, 300_000),
      peer: () => pLimits(1000, 100_000)
    },
    {
      name: "run, 1,000 tasks on 10 permits",
      unit: "ns/op",
      against: "p-limit",
      ours: () => ours(1000, 200_000),
      peer: () => pLimits(1000, 100_000)
    },
    {
      name: "run, 1,000 tasks on 10 permits, beside p-queue",
      unit: "ns/op",
      against: "p-queue",
      ours: () => ours(1000, 200_000),
      peer: () => pQueue(1000, 50_000)
    },
    {
      name: "run, 1,000 tasks on 10 permits, beside bottleneck",
      unit: "ns/op",
      against: "bottleneck",
      rounds: 5,
      ours: () => ours(1000, 200_000),
      peer: () => bottleneck(1000, 5000)
    },
    {
      name: "run, uncontended",
      unit: "ns/op",
      against: "p-limit",
      ours: () => ours(1, 100_000),
      peer: () => pLimits(1, 100_000)
    },
    {
      name: "take and release, 100,000 tasks on 10 permits",
      unit: "ns/op",
      against: "async-sema",
      ours: () => byPair(100_000, 500_000),
      peer: () => byAsyncSema(100_000, 500_000)
    },
    {
      name: "keyed, 1,000 tasks of 100 keys, 10 permits over all",
      unit: "ns/op",
      against: "a p-limit for each key, none over all",
      ours: () => {
        const keyed = createKeyedSemaphore<number>({ permitsPerKey: 1, permits })
        let n = 0
        return byRun(1000, 100_000, (f) => keyed.run(n++ % 100, f))
      },
      peer: () => {
        const limits = Array.from({ length: 100 }, () => pLimit(1))
        let n = 0
        return byRun(1000, 100_000, (f) => limits[n++ % 100]?.(f) ?? f())
      }
    },
    {
      name: "map over 10,000 items, 10 at once, in order",
      unit: "ns/op",
      against: "p-limit and Promise.all, which holds all of them",
      ours: () =>
        nanosPerOperation(50_000, async () => {
          for (let time = 0; time < 5; time++) {
            for await (const _ of map(Array(10_000).keys(), giveWay, { concurrency: permits }));
          }
        }),
      peer: () => {
        const limit = pLimit(permits)
        return nanosPerOperation(50_000, async () => {
          for (let time = 0; time < 5; time++) {
            await Promise.all(Array.from(Array(10_000).keys(), () => limit(giveWay)))
          }
        })
      }
    }
  ]
}

export default suite
