// What the explorer says of each kind of trouble.

import { readFile } from "node:fs"
import { connect } from "node:net"
import { Explorer } from "@sluice/schedule-explorer"
import { Deferred, Effect, Fiber, Latch, PubSub, Queue, Scope, Semaphore } from "effect"
import { describe, expect, it } from "vitest"

const together = (...effects: ReadonlyArray<Effect.Effect<unknown, unknown>>) =>
  Effect.all(effects, { concurrency: "unbounded", discard: true })

const failureOf = (program: Effect.Effect<unknown, unknown>, options?: Explorer.Options): Explorer.Failure => {
  const { failure } = Explorer.check(program, options)
  if (failure === undefined) throw new Error("Nothing was found")
  return failure
}

describe("a deadlock", () => {
  it("names who waits for what, and within what", () => {
    const program = Effect.gen(function* () {
      const [left, right] = [Semaphore.makeUnsafe(1), Semaphore.makeUnsafe(1)]
      const lock = (name: string, semaphore: Semaphore.Semaphore) => (inner: Effect.Effect<void>) =>
        semaphore.withPermit(inner).pipe(Explorer.named(name))
      const [inLeft, inRight] = [lock("left", left), lock("right", right)]
      yield* together(
        inLeft(Effect.andThen(Effect.yieldNow, inRight(Effect.void))),
        inRight(Effect.andThen(Effect.yieldNow, inLeft(Effect.void)))
      )
    })
    const { message, type, waits } = failureOf(program)
    expect(type).toBe("deadlock")
    expect(message.split("\n")).toEqual([
      "deadlock: nothing can run and main, fiber 1, fiber 2 wait",
      "  main waits for the end of fiber 1, fiber 2",
      "  fiber 1 waits within left › right for a permit of a Semaphore",
      "  fiber 2 waits within right › left for a permit of a Semaphore"
    ])
    expect(waits[0]).toEqual({ fiber: 0, within: [], for: "the end of fiber 1, fiber 2", fibers: [1, 2] })
  })

  const waits: ReadonlyArray<readonly [string, Effect.Effect<unknown>]> = [
    ["a Deferred to be completed", Effect.flatMap(Deferred.make<void>(), Deferred.await)],
    ["a Latch to open", Effect.flatMap(Latch.make(false), (latch) => latch.await)],
    ["something in a Queue", Effect.flatMap(Queue.unbounded<void>(), Queue.take)],
    ["room in a Queue", Effect.flatMap(Queue.bounded<number>(1), (queue) => Queue.offerAll(queue, [1, 2]))],
    [
      "something in a PubSub",
      Effect.scoped(Effect.flatMap(Effect.flatMap(PubSub.unbounded<void>(), PubSub.subscribe), PubSub.take))
    ],
    ["nothing that could come (Effect.never)", Effect.never]
  ]
  for (const [name, wait] of waits) {
    it(`tells a wait for ${name}`, () => {
      const { message } = failureOf(Effect.andThen(Effect.forkChild(wait), Effect.never))
      expect(message).toContain(`fiber 1 waits for ${name}`)
    })
  }

  it("tells spans and functions that are waited in, and shows a callback of the program's own", () => {
    const transfer = Effect.fn("transfer")(function* () {
      yield* Effect.callback<void>((_resume) => {})
    })
    const { message } = failureOf(Effect.withSpan(transfer(), "order"))
    expect(message).toMatch(/main waits within .*order.*transfer for a callback: \(_resume\) ?=> ?\{/)
  })

  it("tells who waits for a fiber that somebody else waits for", () => {
    const program = Effect.gen(function* () {
      const stuck = yield* Effect.forkChild(Effect.never)
      const waiter = yield* Effect.forkChild(Fiber.join(stuck))
      yield* Fiber.await(waiter)
    })
    expect(failureOf(program).message).toContain("main waits for the end of fiber 2")
    expect(failureOf(program).message).toContain("fiber 2 waits for the end of fiber 1")
  })
})

describe("a leak", () => {
  it("is told of a fiber, with what it waits for", () => {
    const { message, type } = failureOf(Effect.forkDetach(Effect.flatMap(Latch.make(false), (latch) => latch.await)))
    expect(type).toBe("leak")
    expect(message).toContain("fiber 1 still there")
    expect(message).toContain("fiber 1 waits for a Latch to open")
  })

  it("is what goes on without end after the program has ended", () => {
    const program = Effect.forkDetach(Effect.forever(Effect.sleep("1 second")))
    expect(failureOf(program, { maxSteps: 50 })).toMatchObject({
      type: "leak",
      message: expect.stringContaining("fiber 1 still there")
    })
    expect(Explorer.assert(program, { allowLeaks: true }).exhausted).toBe(true)
  })

  it("is not told of what ends in its time", () => {
    Explorer.assert(Effect.forkDetach(Effect.sleep("1 hour")))
  })

  it("is told of a scope that was not closed", () => {
    const program = Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Scope.provide(
        Effect.addFinalizer(() => Effect.void),
        scope
      )
      yield* Scope.provide(
        Effect.addFinalizer(() => Effect.void),
        scope
      )
    })
    expect(failureOf(program)).toMatchObject({
      type: "leak",
      message: expect.stringContaining("a scope of main with 2 finalizers was not closed")
    })
    Explorer.assert(program, { allowLeaks: true })
    Explorer.assert(Effect.scoped(Effect.addFinalizer(() => Effect.void)))
  })

  it("is told of permits that did not come back, under any schedule", () => {
    const program = (isSafe: boolean) =>
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(2)
        yield* Explorer.expectPermits("stock", semaphore, 2)
        const use = isSafe
          ? semaphore.withPermit(Effect.yieldNow)
          : Effect.andThen(semaphore.take(1), Effect.andThen(Effect.yieldNow, semaphore.release(1)))
        yield* Fiber.await(yield* Effect.forkChild(use))
      })
    expect(failureOf(program(false), { interruptions: 1 })).toMatchObject({
      type: "leak",
      message: expect.stringContaining("stock: less than 2 permits are left")
    })
    Explorer.assert(program(true), { interruptions: 1 })
  })

  it("is told of what has figures that do not fall to 0", () => {
    const program = (held: number) => Explorer.expectIdle("pool", { statsUnsafe: () => ({ held, waiting: 0 }) })
    expect(failureOf(program(3)).message).toContain("pool: 3 held")
    Explorer.assert(program(0))
  })

  it("is told of whatever else a program promises of its end", () => {
    expect(failureOf(Explorer.atEnd("the file is closed", () => false)).message).toContain("the file is closed")
    expect(failureOf(Explorer.atEnd("files", () => "2 are open")).message).toContain("files: 2 are open")
  })
})

describe("what should always hold", () => {
  it("is checked before every primitive, so that what is only wrong for a while is found", () => {
    const program = Effect.gen(function* () {
      let inside = 0
      yield* Explorer.always("one at a time", () => inside <= 1 || `${inside} are inside`)
      const use = Effect.gen(function* () {
        yield* Effect.sync(() => void inside++)
        yield* Effect.sync(() => void inside--)
      })
      yield* together(use, use)
    })
    expect(failureOf(program)).toMatchObject({
      type: "invariant",
      message: "what should always hold does not, after a step of fiber 2: one at a time: 2 are inside"
    })
    Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: 0 }) })
  })
})

describe("a livelock", () => {
  it("is told with the part that repeats", () => {
    const program = Effect.gen(function* () {
      let turn = "a"
      const polite = (me: string, other: string) =>
        Effect.gen(function* () {
          while (true) {
            yield* Explorer.mark(`${me} steps back`)
            turn = other
            yield* Effect.yieldNow
            if (turn === "nobody") return
          }
        })
      yield* together(polite("a", "b"), polite("b", "a"))
    })
    const { message, type } = failureOf(program, { maxSteps: 100 })
    expect(type).toBe("livelock")
    expect(message.split("\n").slice(1).sort()).toEqual(["  fiber 1: a steps back", "  fiber 2: b steps back"])
  })

  it("is told of a fiber that lets nobody else run", () => {
    const { message } = failureOf(Effect.forever(Effect.void, { disableYield: true }), { maxSteps: 100 })
    expect(message).toContain("main")
  })

  it("says where nothing repeats", () => {
    let n = 0
    const program = Effect.suspend(() => {
      n = 0
      return Effect.forever(
        Effect.andThen(
          Effect.yieldNow,
          Effect.suspend(() => Explorer.mark(`${n++}`))
        )
      )
    })
    expect(failureOf(program, { maxSteps: 100 }).message).toContain("does not repeat itself")
  })
})

describe("nondeterminism", () => {
  it("is told before anything else, with where the runs part and what was drawn from", () => {
    const program = Effect.gen(function* () {
      yield* Effect.yieldNow
      yield* Explorer.mark(`drew ${Math.random()}`)
    })
    const { message, type } = failureOf(program)
    expect(type).toBe("nondeterminism")
    expect(message).toMatch(/another run, from row \d+ on: .* It called .*Math\.random/)
  })

  it("is told of state that outlives a run and changes what there is to choose", () => {
    let runs = 0
    const program = Effect.suspend(() =>
      ++runs < 4
        ? together(Effect.yieldNow, Effect.yieldNow)
        : together(Effect.yieldNow, Effect.yieldNow, Effect.yieldNow)
    )
    expect(failureOf(program).type).toBe("nondeterminism")
  })
})

describe("real I/O", () => {
  // A deadline around it would hide that nothing ever came.
  const hidden = (effect: Effect.Effect<unknown, unknown>) => Effect.timeoutOption(effect, "1 second")
  const outside: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]> = [
    ["a promise's then", Effect.promise(() => Promise.resolve(1))],
    ["a promise's then", Effect.tryPromise(async () => 1)],
    ["fetch", Effect.promise(() => fetch("http://127.0.0.1:1"))],
    ["setTimeout", Effect.callback<void>((resume) => void setTimeout(() => resume(Effect.void), 1))],
    ["queueMicrotask", Effect.callback<void>((resume) => queueMicrotask(() => resume(Effect.void)))],
    ["net.Socket.connect", Effect.callback<void>(() => void connect(1, "127.0.0.1").on("error", () => {}))]
  ]
  for (const [name, effect] of outside) {
    it(`is refused, whatever the program makes of it: ${name}`, () => {
      const { message, type } = failureOf(hidden(Effect.exit(effect)))
      expect(type).toBe("real-io")
      expect(message).toContain(`fiber 1 reached for ${name}`)
      expect(message).toContain("Give the program a fake of it")
    })
  }

  // Bun and Deno do not tell what they begin, so there is nothing to hold them to.
  if (!("Bun" in globalThis) && !("Deno" in globalThis)) {
    it("is noticed by what the runtime says it began, where it went by another name, on Node", () => {
      const read = Effect.callback<void>((resume) => readFile("/dev/null", () => resume(Effect.void)))
      expect(failureOf(hidden(read))).toMatchObject({
        type: "real-io",
        message: expect.stringMatching(/fiber 1 reached for a file at .*findings\.test\.ts/)
      })
    })
  }

  it("is let through as soon as a check is over, also one that threw", async () => {
    const { setTimeout: timer } = globalThis
    const { then: chain } = Promise.prototype
    failureOf(Effect.promise(() => Promise.resolve(1)))
    expect(() => Explorer.assert(Effect.die("no"))).toThrow("no")
    expect(globalThis.setTimeout).toBe(timer)
    expect(Promise.prototype.then).toBe(chain)
    expect(await Promise.resolve(1).then((one) => one + 1)).toBe(2)
  })
})

describe("the platform's timers", () => {
  it("are virtual where that is asked for, and their order is a choice as far as it is one", () => {
    const seen = new Set<string>()
    const program = Effect.gen(function* () {
      const order: Array<string> = []
      yield* Effect.callback<void>((resume) => {
        setTimeout(() => order.push("timer"), 1000)
        setTimeout(() => resume(Effect.void), 1000)
        clearTimeout(setTimeout(() => order.push("never"), 1))
        clearImmediate(setImmediate(() => order.push("never")))
        setImmediate(() => {
          order.push("immediate 1")
          queueMicrotask(() => order.push("microtask"))
        })
        setImmediate(() => order.push("immediate 2"))
      })
      yield* Effect.sync(() => seen.add(order.join()))
    })
    Explorer.assert(program, { platform: "virtual" })
    expect([...seen].sort()).toEqual(["immediate 1,microtask,immediate 2", "immediate 1,microtask,immediate 2,timer"])
  })

  it("carry fibers that the program runs of its own", () => {
    const program = Effect.callback<number>((resume) => {
      const own = Effect.andThen(Effect.yieldNow, Effect.as(Effect.sleep("1 hour"), 7))
      Effect.runFork(own).addObserver((exit) => resume(exit))
    })
    const { failure } = Explorer.check(
      Effect.flatMap(program, (seven) => Explorer.atEnd("7", () => seven === 7)),
      {
        platform: "virtual"
      }
    )
    expect(failure).toBeUndefined()
  })
})

describe("the free mode", () => {
  /** Two fibers that were forked one after the other: Effect starts them in this order. */
  const program = Effect.gen(function* () {
    const order: Array<number> = []
    const start = (n: number) => Effect.sync(() => void order.push(n))
    yield* Fiber.joinAll([yield* Effect.forkChild(start(1)), yield* Effect.forkChild(start(2))])
    if (order.join() !== "1,2") yield* Effect.die(`started ${order.join()}`)
  })
  const strategy = Explorer.exhaustive({ maxPreemptions: 0 })

  it("reorders what a dispatcher keeps in order, and says so in all that it says", () => {
    const report = Explorer.check(program, { mode: "free", strategy })
    expect(report).toMatchObject({ mode: "free", failure: { mode: "free", type: "failure" } })
    expect(report.failure?.message).toContain("may be a false alarm")
    expect(report.failure?.token).toMatch(/^s1f-0-0:/)
    expect(Explorer.check(Effect.void, { mode: "free" })).toMatchObject({ mode: "free", failure: undefined })
  })

  it("is not the default, which finds nothing here", () => {
    expect(Explorer.check(program, { strategy })).toMatchObject({ mode: "contract", failure: undefined })
  })

  it("is repeated by its tokens, without being asked for again", () => {
    const { failure } = Explorer.check(program, { mode: "free", strategy })
    const again = Explorer.check(program, { strategy: Explorer.replay(failure?.token ?? "") })
    expect(again).toMatchObject({ mode: "free", failure })
  })
})

describe("interruption", () => {
  it("comes before every primitive of a fiber, also of one that runs alone", () => {
    const reached = new Set<number>()
    const program = Effect.gen(function* () {
      let at = 0
      const step = Effect.sync(() => void at++)
      const fiber = yield* Effect.forkChild(Effect.andThen(step, Effect.andThen(step, Effect.andThen(step, step))), {
        startImmediately: true
      })
      yield* Fiber.await(fiber)
      yield* Effect.sync(() => void reached.add(at))
    })
    Explorer.assert(program, { interruptions: 1, strategy: Explorer.exhaustive({ maxPreemptions: 0 }) })
    expect([...reached].sort()).toEqual([0, 1, 2, 3, 4])
  })

  it("passes over what is spared, with all that it forks", () => {
    const program = Effect.flatMap(Effect.forkChild(Effect.yieldNow), Fiber.join)
    expect(failureOf(program, { interruptions: 1 }).type).toBe("failure")
    Explorer.assert(Explorer.spared(program), { interruptions: 1 })
    // The fiber that is interrupted is the one that joins, which main waits for and does not mind.
    const joined = Effect.flatMap(Effect.forkChild(Explorer.victim(program)), Fiber.await)
    const told = Effect.flatMap(joined, (exit) => Explorer.mark(exit._tag))
    Explorer.assert(told, { interruptions: 1 })
  })
})
