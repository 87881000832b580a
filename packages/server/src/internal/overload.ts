// What the whole server takes on at once, learned from its latency, and who goes
// first when that is not enough.
//
// An adaptive limit measures and moves the limit; a semaphore with priorities of the
// same size stands before it and holds the line, so that the limit itself never
// refuses. The line is bounded, and the less urgent a class the smaller the part of
// it in which it may stand: as the line grows the least urgent are shed first, and
// whatever sheds a class sheds every one that is less urgent.

import { AdaptiveLimit, PrioritySemaphore } from "@sluice/semaphore"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Scope from "effect/Scope"
import { inTime } from "./gate.ts"

export interface OverloadOptions {
  readonly algorithm: AdaptiveLimit.Algorithm
  readonly maxWaiting: number
  readonly maxWait: Duration.Duration | undefined
  readonly window: Duration.Input | undefined
  readonly minSamples: number | undefined
  readonly ageing: number | undefined
  readonly isDrop: (response: HttpServerResponse.HttpServerResponse) => boolean
  /** How many levels of urgency there are. */
  readonly priorities: number
}

export interface OverloadStats {
  readonly capacity: number
  readonly held: number
  readonly available: number
  readonly waiting: number
  readonly admitted: number
  readonly rejected: number
  readonly dropped: number
}

const isResponseExit = (value: unknown): value is Exit.Exit<HttpServerResponse.HttpServerResponse, unknown> =>
  Exit.isExit(value)

/** The most levels of urgency that a line has. */
const mostPriorities = 16

export const checkPriority = (name: string, priority: number): number => {
  if (Number.isSafeInteger(priority) && priority >= 0 && priority < mostPriorities) return priority
  throw new RangeError(
    `Cannot make class ${name} with priority ${priority}: a whole number from 0 to ${mostPriorities - 1} is needed`
  )
}

/** The places of the line that a class may use: all of them for the most urgent, and for each below a part less. */
export const placesOf = (maxWaiting: number, priorities: number, priority: number): number =>
  Math.ceil((maxWaiting * (priorities - priority)) / priorities)

export class Overload {
  private readonly limit: AdaptiveLimit.AdaptiveLimit
  private readonly line: PrioritySemaphore.PrioritySemaphore
  private readonly options: OverloadOptions
  private size: number
  private waiting = 0
  private rejected = 0

  private constructor(limit: AdaptiveLimit.AdaptiveLimit, options: OverloadOptions) {
    this.limit = limit
    this.options = options
    this.size = limit.statsUnsafe().capacity
    this.line = PrioritySemaphore.makeUnsafe({
      permits: this.size,
      classes: options.priorities,
      ageing: options.ageing
    })
  }

  static make(options: OverloadOptions): Effect.Effect<Overload> {
    const { algorithm, isDrop, maxWaiting, minSamples, window } = options
    if (!Number.isSafeInteger(maxWaiting) || maxWaiting < 0) {
      return Effect.die(
        new RangeError(
          `Cannot make an admission with a maxWaiting of ${maxWaiting} for all: a whole number, 0 or more, is needed`
        )
      )
    }
    return Effect.map(
      AdaptiveLimit.make({
        algorithm,
        window,
        minSamples,
        isDrop: (exit) => {
          const answer: unknown = Exit.isSuccess(exit) ? exit.value : undefined
          return isResponseExit(answer) && Exit.isSuccess(answer) && isDrop(answer.value)
        }
      }),
      (limit) => new Overload(limit, options)
    )
  }

  /** Runs a handler under the limit, or answers `refused` in its place. */
  run<E, R>(
    self: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
    priority: number,
    refused: () => HttpServerResponse.HttpServerResponse
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> {
    return Effect.suspend(() => {
      const scope = Scope.makeUnsafe()
      const refuse = (): HttpServerResponse.HttpServerResponse => {
        this.rejected++
        return refused()
      }
      // A handler's own failures are not the limit's.
      const measured = Effect.onExitPrimitive(this.limit.withPermit(Effect.exit(self)), () => {
        this.follow()
        return undefined
      }).pipe(
        Effect.catch(() => Effect.sync(() => Exit.succeed(refuse()))),
        Effect.flatten
      )
      const { maxWait, maxWaiting, priorities } = this.options
      const take = this.line.takeScoped(1, priority)
      let isWaiting = false
      const leave = (): void => {
        if (isWaiting) this.waiting--
        isWaiting = false
      }
      return Effect.onExitPrimitive(
        Effect.suspend(() => {
          const { available, waiting } = this.line.statsUnsafe()
          if (available > 0 && waiting === 0) return Effect.andThen(Scope.provide(take, scope), measured)
          if (this.waiting >= placesOf(maxWaiting, priorities, priority)) return Effect.sync(refuse)
          this.waiting++
          isWaiting = true
          return Effect.flatMap(inTime(take, scope, maxWait), (isIn) => {
            leave()
            return isIn ? measured : Effect.sync(refuse)
          })
        }),
        (exit) => {
          leave()
          return Scope.closeUnsafe(scope, exit)
        }
      )
    })
  }

  /** Tells of a handler that was too slow to have an answer. */
  get reportDrop(): Effect.Effect<void> {
    return this.limit.reportDrop
  }

  statsUnsafe(): OverloadStats {
    const { dropped } = this.limit.statsUnsafe()
    const { admitted, available, capacity, held } = this.line.statsUnsafe()
    return { capacity, held, available, waiting: this.waiting, admitted, rejected: this.rejected, dropped }
  }

  /** Makes the line as long as the limit, before the permit that ends goes to the next. */
  private follow(): void {
    const { capacity } = this.limit.statsUnsafe()
    if (capacity === this.size) return
    this.size = capacity
    Effect.runSync(this.line.resize(capacity))
  }
}
