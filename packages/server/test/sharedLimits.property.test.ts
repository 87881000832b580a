// A limit that workers share, over channels of every delay: who asks, when a question
// comes to the primary, when its answer comes back, and who has left meanwhile, are
// all drawn. The model is one limiter, asked in the order of arrival at the primary.

import { KeyedRateLimiter, type RateLimiter } from "@sluice/rate-limiter"
import { Duration, Effect, Exit, Fiber } from "effect"
import fc from "fast-check"
import { assert, describe, it } from "vitest"
import type { WrittenDecision } from "../src/internal/workers/protocol.ts"
import { makeRates, makeSharedLimiter } from "../src/internal/workers/rates.ts"

const clients = ["ann", "bob", "cid"] as const

type Answer = (decisions: Effect.Effect<ReadonlyArray<WrittenDecision>>) => void

interface Asked {
  readonly client: string
  readonly fiber: Fiber.Fiber<RateLimiter.Decision>
  hasLeft: boolean
  expected: RateLimiter.Decision | undefined
}

/** A worker, what its model says is gathered and under way, and its channel. */
interface Side {
  readonly take: (client: string) => Effect.Effect<RateLimiter.Decision>
  gathered: Array<Asked>
  underWay: ReadonlyArray<Asked>
  question: { readonly clients: ReadonlyArray<string>; readonly done: Answer } | undefined
  answer: (() => void) | undefined
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("ask"), worker: fc.nat(3), client: fc.constantFrom(...clients) })
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("decide", "answer"), worker: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave"), worker: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait"), millis: fc.integer({ min: 1, max: 400 }) }) }
)

/** What a decision says, whatever class it is of. */
const said = ({ allowed, limit, remaining, resetAfter, retryAfter }: RateLimiter.Decision) => ({
  allowed,
  limit,
  remaining,
  resetMillis: Duration.toMillis(resetAfter),
  retryMillis: Duration.toMillis(retryAfter)
})

const shared = { name: "clients", intervalMillis: 1000, maxClients: 100 }

describe("a limit that workers share", () => {
  it("lets in whom one limiter would let in, and whoever leaves before the question goes takes nothing", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          limit: fc.integer({ min: 1, max: 10 }),
          burst: fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined }),
          algorithm: fc.constantFrom("gcra", "fixed-window", "sliding-window-log")
        }),
        fc.array(step, { minLength: 1, maxLength: 120 }),
        async ({ algorithm, burst: drawn, limit }, steps) => {
          const burst = algorithm === "gcra" ? drawn : undefined
          const primary = makeRates()
          primary.define({ ...shared, limit, burst, algorithm })
          const model = KeyedRateLimiter.makeUnsafe({ limit, burst, algorithm, interval: "1 second", maxKeys: 100 })
          const all: Array<Asked> = []
          let now = 1_000_000

          const sides = Array.from({ length: 4 }, (): Side => {
            const limiter = makeSharedLimiter((asking, done) => {
              side.question = { clients: asking, done }
            })
            const side: Side = {
              take: limiter.tryTake,
              gathered: [],
              underWay: [],
              question: undefined,
              answer: undefined
            }
            return side
          })

          const go = (side: Side): void => {
            side.underWay = side.gathered.filter(({ hasLeft }) => !hasLeft)
            side.gathered = []
          }
          const ask = (side: Side, client: string): void => {
            const isFree = side.underWay.length === 0
            const asked: Asked = {
              client,
              fiber: Effect.runFork(side.take(client)),
              hasLeft: false,
              expected: undefined
            }
            all.push(asked)
            side.gathered.push(asked)
            if (isFree) go(side)
          }
          const decide = (side: Side): void => {
            const { question, underWay } = side
            if (question === undefined) return
            side.question = undefined
            assert.deepStrictEqual(
              question.clients,
              underWay.map(({ client }) => client)
            )
            const decisions = primary.decide("clients", question.clients, now)
            for (const asked of underWay) asked.expected = model.tryTakeUnsafe(now, asked.client)
            side.answer = () => question.done(Effect.succeed(decisions))
          }
          const answer = (side: Side): void => {
            const { answer: deliver } = side
            if (deliver === undefined) return
            side.answer = undefined
            go(side)
            deliver()
          }

          for (const event of steps) {
            if ("millis" in event) {
              now += event.millis
              continue
            }
            const side = sides[event.worker]
            if (side === undefined) continue
            if ("client" in event) ask(side, event.client)
            else if (event.kind === "decide") decide(side)
            else if (event.kind === "answer") answer(side)
            else {
              const leaver = side.gathered.find(({ hasLeft }) => !hasLeft)
              if (leaver === undefined) continue
              leaver.hasLeft = true
              await Effect.runPromise(Fiber.interrupt(leaver.fiber))
            }
          }
          while (sides.some(({ underWay }) => underWay.length > 0)) {
            for (const side of sides) {
              decide(side)
              answer(side)
            }
          }
          for (const { expected, fiber, hasLeft } of all) {
            const exit = await Effect.runPromise(Fiber.await(fiber))
            if (hasLeft) assert.isTrue(Exit.hasInterrupts(exit))
            else assert.deepStrictEqual(Exit.map(exit, said), Exit.succeed(expected && said(expected)))
          }
        }
      ),
      { numRuns: 300 }
    ))
})
