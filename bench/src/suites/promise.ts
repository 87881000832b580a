// The toolkit for promises against the libraries that people use for the same.

import { createKeyedSemaphore, createSemaphore, map } from "@sluice/promise"
import { Sema } from "async-sema"
import Bottleneck from "bottleneck"
import pLimit from "p-limit"
import PQueue from "p-queue"
import { nanosPerOperation, type Suite } from "../harness.ts"

const permits = 10

/** Runs `tasks` tasks at once, round after round, each of which gives way once while it holds its permit. */
const rounds = (tasks: number, operations: number, task: () => Promise<unknown>): Promise<number> => {
  const times = Math.max(1, Math.round(operations / tasks))
  return nanosPerOperation(times * tasks, async () => {
    for (let time = 0; time < times; time++) await Promise.all(Array.from({ length: tasks }, task))
  })
}

const giveWay = async (): Promise<void> => {
  await null
}

const byPair = (tasks: number, operations: number): Promise<number> => {
  const semaphore = createSemaphore(permits)
  return rounds(tasks, operations, async () => {
    await semaphore.take()
    await null
    semaphore.release()
  })
}

const byAsyncSema = (tasks: number, operations: number): Promise<number> => {
  const sema = new Sema(permits)
  return rounds(tasks, operations, async () => {
    await sema.acquire()
    await null
    sema.release()
  })
}

const byRun = (tasks: number, operations: number): Promise<number> => {
  const semaphore = createSemaphore(permits)
  return rounds(tasks, operations, () => semaphore.run(giveWay))
}

const byPLimit = (tasks: number, operations: number): Promise<number> => {
  const limit = pLimit(permits)
  return rounds(tasks, operations, () => limit(giveWay))
}

const byPQueue = (tasks: number, operations: number): Promise<number> => {
  const queue = new PQueue({ concurrency: permits })
  return rounds(tasks, operations, () => queue.add(giveWay))
}

const byBottleneck = (tasks: number, operations: number): Promise<number> => {
  const limiter = new Bottleneck({ maxConcurrent: permits })
  return rounds(tasks, operations, () => limiter.schedule(giveWay))
}

const suite: Suite = {
  name: "promise",
  comparisons: [
    {
      name: "take and release, 1,000 tasks on 10 permits",
      unit: "ns/op",
      against: "async-sema",
      bar: 1,
      ours: () => byPair(1000, 200_000),
      peer: () => byAsyncSema(1000, 200_000)
    },
    {
      name: "run, 1,000 tasks on 10 permits",
      unit: "ns/op",
      against: "p-limit",
      bar: 3,
      ours: () => byRun(1000, 200_000),
      peer: () => byPLimit(1000, 100_000)
    },
    {
      name: "run, 1,000 tasks on 10 permits, by p-queue",
      unit: "ns/op",
      against: "p-queue",
      ours: () => byRun(1000, 200_000),
      peer: () => byPQueue(1000, 50_000)
    },
    {
      name: "run, 1,000 tasks on 10 permits, by bottleneck",
      unit: "ns/op",
      against: "bottleneck",
      rounds: 5,
      ours: () => byRun(1000, 200_000),
      peer: () => byBottleneck(1000, 5000)
    },
    {
      name: "run, uncontended",
      unit: "ns/op",
      against: "p-limit",
      ours: () => byRun(1, 100_000),
      peer: () => byPLimit(1, 100_000)
    },
    {
      name: "run, 100,000 tasks on 10 permits",
      unit: "ns/op",
      against: "async-sema",
      rounds: 5,
      ours: () => byPair(100_000, 200_000),
      peer: () => byAsyncSema(100_000, 200_000)
    },
    {
      name: "keyed, 1,000 tasks of 100 keys, 10 permits over all",
      unit: "ns/op",
      against: "a p-limit for each key, none over all",
      ours: () => {
        const keyed = createKeyedSemaphore<number>({ permitsPerKey: 1, permits })
        let n = 0
        return rounds(1000, 100_000, () => keyed.run(n++ % 100, giveWay))
      },
      peer: () => {
        const limits = Array.from({ length: 100 }, () => pLimit(1))
        let n = 0
        return rounds(1000, 100_000, () => limits[n++ % 100]?.(giveWay) ?? giveWay())
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
