// Law of the combiner: whoever asks gets the answer to his own request, and what
// is sent keeps the order of asking. The model is the list of requests itself.

import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import fc from "fast-check"
import { makeCombiner } from "../src/internal/combiner.ts"

interface Command {
  readonly requests: ReadonlyArray<number>
  readonly answer: () => void
}

const askedAtOnce = fc.array(
  fc.record({
    asks: fc.integer({ min: 0, max: 90 }),
    leaves: fc.array(fc.nat(), { maxLength: 10 }),
    answers: fc.integer({ min: 0, max: 3 })
  }),
  { maxLength: 8 }
)

describe("the laws of the combiner", () => {
  it.effect("each gets his own answer once, in order, and who left before it was sent is not sent", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 40 }), askedAtOnce, async (most, steps) => {
          const commands: Array<Command> = []
          const sent: Array<number> = []
          let idle = 0
          const combiner = makeCombiner<number, number, never>({
            most,
            onIdle: () => idle++,
            run: (requests, done) => {
              sent.push(...requests)
              assert.isAtMost(requests.length, most)
              commands.push({ requests, answer: () => done(Exit.succeed(requests.map((request) => -request))) })
              assert.isAtMost(commands.length, 2)
            }
          })
          const asked: Array<{ readonly request: number; readonly fiber: Fiber.Fiber<number> }> = []
          const left = new Set<number>()
          const settle = Effect.forEach([1, 2, 3], () => Effect.yieldNow, { discard: true })
          const answerOne = Effect.andThen(
            Effect.sync(() => commands.shift()?.answer()),
            settle
          )
          const program = Effect.gen(function* () {
            for (const { answers, asks, leaves } of steps) {
              for (let n = 0; n < asks; n++) {
                const request = asked.length + 1
                asked.push({ request, fiber: yield* Effect.forkChild(combiner.ask(request)) })
              }
              yield* settle
              for (const index of leaves) {
                const leaver = asked[index % Math.max(1, asked.length)]
                if (leaver === undefined || leaver.fiber.pollUnsafe() !== undefined) continue
                if (!sent.includes(leaver.request)) left.add(leaver.request)
                yield* Fiber.interrupt(leaver.fiber)
              }
              for (let n = 0; n < answers; n++) yield* answerOne
            }
            while (!combiner.isIdle()) yield* answerOne
            yield* settle
            for (const { fiber, request } of asked) {
              const exit = yield* Fiber.await(fiber)
              assert.isTrue(Exit.isSuccess(exit) ? exit.value === -request : Exit.hasInterrupts(exit))
            }
          })
          await Effect.runPromise(program)
          const expected = asked.map(({ request }) => request).filter((request) => !left.has(request))
          assert.deepStrictEqual(sent, expected)
          if (sent.length > 0) assert.isAtLeast(idle, 1)
        }),
        { numRuns: 200 }
      )
    )
  )
})
