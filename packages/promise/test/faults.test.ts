// A million random operations on each primitive, with aborts at every moment: in line,
// between the hand-over and the turn in which it is known, and after. The model is a
// count: what is held is what was resolved and not released.

import {
  aimd,
  createAdaptiveLimit,
  createBulkhead,
  createKeyedSemaphore,
  createPrioritySemaphore,
  createSemaphore
} from "@sluice/promise"
import { describe, expect, it } from "vitest"
import { deferred, makeRandom, seeds, settle } from "./turns.ts"

interface Held {
  readonly permits: number
  release(): void
}

interface Subject {
  acquire(random: (below: number) => number, signal: AbortSignal): Promise<Held>
  stats(): { readonly held: number; readonly waiting: number; readonly capacity: number; readonly admitted: number }
}

const subjects: Readonly<Record<string, () => Subject>> = {
  semaphore: () => {
    const semaphore = createSemaphore(7)
    return {
      acquire: (random, signal) => semaphore.acquire({ permits: 1 + random(3), signal }),
      stats: semaphore.stats
    }
  },
  "keyed semaphore": () => {
    const semaphore = createKeyedSemaphore<number>({ permitsPerKey: 3, permits: 7 })
    return {
      acquire: (random, signal) => semaphore.acquire(random(5), { permits: 1 + random(3), signal }),
      stats: semaphore.stats
    }
  },
  "priority semaphore": () => {
    const semaphore = createPrioritySemaphore({ permits: 7, classes: 3 })
    return {
      acquire: (random, signal) => semaphore.acquire({ permits: 1 + random(3), priority: random(3), signal }),
      stats: semaphore.stats
    }
  },
  bulkhead: () => {
    const bulkhead = createBulkhead({ permits: 7, maxWaiting: 30 })
    return { acquire: (_, signal) => bulkhead.acquire({ signal }), stats: bulkhead.stats }
  },
  "adaptive limit": () => {
    const limit = createAdaptiveLimit({ algorithm: aimd({ initial: 7, max: 7 }), maxWaiting: 30, window: "1 hour" })
    return {
      acquire: (_, signal) => {
        const entered = deferred<Held>()
        const left = deferred()
        const run = limit.run(
          () => {
            entered.resolve({ permits: 1, release: left.resolve })
            return left.promise
          },
          { signal }
        )
        run.catch(entered.reject)
        return entered.promise
      },
      stats: limit.stats
    }
  }
}

const operations = 340_000

const storm = async (subject: Subject, seed: number): Promise<void> => {
  const random = makeRandom(seed)
  const pending: Array<AbortController> = []
  const holders: Array<Held> = []
  let asked = 0
  let resolved = 0
  let rejected = 0
  const acquire = (): void => {
    const controller = new AbortController()
    pending.push(controller)
    asked++
    const done = (): void => {
      const last = pending.pop()
      const at = last === controller || last === undefined ? -1 : pending.indexOf(controller)
      if (at >= 0 && last !== undefined) pending[at] = last
    }
    subject.acquire(random, controller.signal).then(
      (held) => {
        done()
        resolved++
        holders.push(held)
      },
      () => {
        done()
        rejected++
      }
    )
  }
  const release = (): void => {
    const last = holders.pop()
    if (last === undefined) return
    const at = random(holders.length + 1)
    const chosen = holders[at]
    if (chosen !== undefined) holders[at] = last
    ;(chosen ?? last).release()
  }
  for (let n = 0; n < operations; n++) {
    const choice = random(100)
    if (choice < 40 && pending.length < 40) acquire()
    else if (choice < 75) release()
    else if (choice < 90) pending[random(pending.length + 1)]?.abort("fault")
    else await null
    if (n % 5000 === 0) {
      await settle()
      const { capacity, held, waiting } = subject.stats()
      expect(held).toBe(holders.reduce((sum, { permits }) => sum + permits, 0))
      expect(held).toBeLessThanOrEqual(capacity)
      expect(waiting).toBe(pending.length)
    }
  }
  for (const controller of [...pending]) controller.abort("end")
  while (holders.length > 0 || pending.length > 0) {
    release()
    await settle()
  }
  await settle()
  expect(subject.stats()).toMatchObject({ held: 0, waiting: 0 })
  expect(resolved + rejected).toBe(asked)
  expect(subject.stats().admitted).toBeGreaterThanOrEqual(resolved)
}

describe.each(Object.entries(subjects))("a %s", (_, make) => {
  it.each(seeds)(
    "loses no permit and forgets nobody in a million faults, seed %i",
    (seed) => storm(make(), seed),
    120_000
  )
})
