// One request on its way through an admission.
//
// The frame that gives back what a request holds stands on the fiber's stack before
// anything is taken, so that it may be interrupted anywhere: `end` looks at what there
// is. A request that finds room takes one object, one comparison a policy, and no
// effect besides its handler's; what it does not use (a rate, a body, a deadline, a
// line) it does not pay for.
//
// A response that is a stream has begun when its handler ends. Its permit goes over
// to the request's own scope, which closes when the last byte is out.

import type { RateLimiter } from "@sluice/rate-limiter"
import { Deadline } from "@sluice/retry"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { RequestFacts } from "../ClientKey.ts"
import * as Problem from "../Problem.ts"
import type { Answers } from "./answers.ts"
import { announcesTooMuch, type BodyBounds, type Guarded, guard, hasBody } from "./bodyGuard.ts"
import type { Deadlines } from "./deadlines.ts"
import type { Gate } from "./gate.ts"
import { withFields } from "./headers.ts"
import type { Overload } from "./overload.ts"
import { PeerAddress } from "./peer.ts"
import { type ClassTelemetry, type Outcome, outcomeOfStatus } from "./telemetry.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** What decides over a client's rate. */
export interface Rate {
  /** Decides at once, where the counts are in this process. */
  readonly decideUnsafe: ((nowMillis: number, client: string) => RateLimiter.Decision) | undefined
  readonly decide: (client: string) => Effect.Effect<RateLimiter.Decision>
  readonly write: (fields: Record<string, string>, decision: RateLimiter.Decision) => void
}

/** What all requests of an admission share. */
export interface Core {
  readonly answers: Answers
  readonly keyOf: (request: RequestFacts) => string
  readonly rate: Rate | undefined
  readonly ids: ((received: string | undefined) => string) | undefined
  readonly idHeader: string
  readonly idReference: Context.Reference<string | undefined>
  readonly acceptsIds: boolean
  /** The headers of a request, or none where it has none of those that are looked for. */
  readonly lookUp: (request: Request) => Readonly<Record<string, string | undefined>>
  readonly overload: Overload | undefined
  isDraining: boolean
  active: number
  limited: number
  turnedAway: number
  late: number
  oversized: number
  slow: number
  readonly onIdle: Array<() => void>
}

/** What the requests of a class share. */
export interface Route {
  readonly gate: Gate
  readonly priority: number
  readonly body: BodyBounds
  readonly deadlines: Deadlines
  readonly telemetry: ClassTelemetry | undefined
}

/** Reads of a request what is asked for, since to read headers is to parse them. */
class Facts implements RequestFacts {
  private readonly request: Request
  private readonly context: Context.Context<never>
  constructor(request: Request, context: Context.Context<never>) {
    this.request = request
    this.context = context
  }
  get remoteAddress(): string | undefined {
    const address: Option.Option<string> = this.request.remoteAddress
    return address._tag === "Some" ? address.value : Context.get(this.context, PeerAddress)
  }
  get headers(): RequestFacts["headers"] {
    return this.request.headers
  }
}

const now = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe())

class Visit {
  private readonly core: Core
  private readonly route: Route | undefined
  private readonly telemetry: ClassTelemetry | undefined
  private context: Context.Context<never> | undefined
  private clock: Clock.Clock | undefined
  /** Set where its context was changed. */
  private fiber: Fiber.Fiber<unknown, unknown> | undefined
  private startedAt = 0
  private fields: Record<string, string> | undefined
  private place: "outside" | "waiting" | "inside" = "outside"
  private headers: Readonly<Record<string, string | undefined>> | undefined
  private isActive = false
  /** Whether there is no handler to run, which would want to know the id. */
  private isReady = false
  private refusal: Outcome | undefined
  private waitScope: Scope.Closeable | undefined

  constructor(core: Core, route: Route | undefined, telemetry: ClassTelemetry | undefined) {
    this.core = core
    this.route = route
    this.telemetry = telemetry
  }

  begin<E, R>(
    fiber: Fiber.Fiber<unknown, unknown>,
    handler: Effect.Effect<Response, E, R>
  ): Effect.Effect<Response, E, R> {
    const { core, route } = this
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    this.context = fiber.context
    const clock = fiber.getRef(Clock.Clock)
    this.clock = clock
    if (this.telemetry !== undefined) this.startedAt = now(clock)
    const headers = this.headers ?? core.lookUp(request)
    if (core.ids !== undefined) {
      const id = core.ids(core.acceptsIds ? headers[core.idHeader] : undefined)
      this.fields = { [core.idHeader]: id }
      if (!this.isReady) {
        // Taken back at the end: as an effect of its own this would cost as much as all the rest.
        fiber.setContext(Context.add(fiber.context, core.idReference, id))
        this.fiber = fiber
      }
    }
    if (route === undefined) return this.answered(handler)
    if (core.isDraining) {
      core.turnedAway++
      return this.refuse("draining", core.answers.draining)
    }
    const { rate } = core
    if (rate === undefined) return this.enter(request, headers, route, handler)
    const client = core.keyOf(new Facts(request, this.context))
    const decided = (decision: RateLimiter.Decision): Effect.Effect<Response, E, R> => {
      this.fields ??= {}
      rate.write(this.fields, decision)
      if (decision.allowed) return this.enter(request, headers, route, handler)
      core.limited++
      return this.refuse("limited", core.answers.limited(decision.retryAfter))
    }
    return rate.decideUnsafe === undefined
      ? Effect.flatMap(rate.decide(client), decided)
      : decided(rate.decideUnsafe(clock.currentTimeMillisUnsafe(), client))
  }

  /**
   * All of it at once, for a handler that is a response already. Nothing can come in between, so that no frame is needed;
   * where something has to be waited for, nothing is done.
   */
  atOnce(fiber: Fiber.Fiber<unknown, unknown>, ready: Response): Effect.Effect<Response> | undefined {
    const { core, route } = this
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    if (route !== undefined) {
      this.headers = core.lookUp(request)
      if (hasBody(request) || route.deadlines(this.headers) !== undefined || !route.gate.takeIfFree()) return undefined
      this.place = "inside"
    }
    this.isReady = true
    const answer = responseOf(this.begin(fiber, Exit.succeed(ready)))
    // Without an overload, a deadline or a decision from elsewhere there is nothing that is not known by now.
    if (answer === undefined) throw new Error("An answer was to be had at once")
    const exit = Exit.succeed(answer)
    this.end(exit)
    return exit
  }

  private enter<E, R>(
    request: Request,
    headers: Readonly<Record<string, string | undefined>>,
    route: Route,
    handler: Effect.Effect<Response, E, R>
  ): Effect.Effect<Response, E, R> {
    const { core } = this
    let work = handler
    if (hasBody(request)) {
      if (announcesTooMuch(request, route.body.maxSize)) {
        core.oversized++
        return this.refuse("oversized", core.answers.tooLarge)
      }
      work = this.guarded(guard(request, route.body), work)
    }
    core.active++
    this.isActive = true
    if (core.overload !== undefined) {
      work = core.overload.run(work, route.priority, () => {
        this.refusal = "shed"
        return core.answers.full
      })
    }
    const within = route.deadlines(headers)
    const run =
      within === undefined
        ? this.pass(route.gate, work)
        : this.inTime(within(Effect.exit(Effect.suspend(() => this.pass(route.gate, work)))))
    return this.answered(run)
  }

  /** Through the gate of the class, at once or after a wait. */
  private pass<E, R>(gate: Gate, work: Effect.Effect<Response, E, R>): Effect.Effect<Response, E, R> {
    const { full } = this.core.answers
    if (this.place === "inside" || gate.takeIfFree()) {
      this.place = "inside"
      gate.count()
      return work
    }
    if (!gate.join()) {
      this.refusal = "full"
      return Effect.succeed(full)
    }
    this.place = "waiting"
    const scope = Scope.makeUnsafe()
    this.waitScope = scope
    return Effect.flatMap(gate.wait(scope), (isIn) => {
      this.place = "outside"
      gate.leave()
      if (isIn) return work
      this.refusal = "full"
      return Effect.succeed(full)
    })
  }

  /** A deadline that passed is answered, be it the one that ends the handler or one that the handler has heeded itself. */
  private inTime<E, R>(
    self: Effect.Effect<Exit.Exit<Response, E>, Deadline.DeadlineExceeded, R>
  ): Effect.Effect<Response, E, R> {
    const { core } = this
    const late = (error: Deadline.DeadlineExceeded): Effect.Effect<Exit.Exit<Response>> => {
      core.late++
      this.refusal = "deadline"
      const answer = Effect.succeed(Exit.succeed(core.answers.late))
      return error.isStarted && core.overload !== undefined ? Effect.andThen(core.overload.reportDrop, answer) : answer
    }
    return Effect.catch(
      Effect.flatMap(self, (exit) => {
        const error = Exit.isFailure(exit) ? exceeded(exit.cause) : undefined
        return error === undefined ? Effect.succeed(exit) : Effect.fail(error)
      }),
      late
    ).pipe(Effect.flatten)
  }

  /** Where a bound of the body was passed, that is the answer, whatever the handler has made of it. */
  private guarded<E, R>(
    { breach, request }: Guarded,
    work: Effect.Effect<Response, E, R>
  ): Effect.Effect<Response, E, R> {
    const { core } = this
    return Effect.flatMap(
      Effect.exit(Effect.provideService(work, HttpServerRequest.HttpServerRequest, request)),
      (exit): Effect.Effect<Response, E> => {
        switch (breach()) {
          case undefined:
            return exit
          case "size":
            core.oversized++
            this.refusal = "oversized"
            return Effect.succeed(core.answers.tooLarge)
          case "time":
            core.slow++
            this.refusal = "slow"
            return Effect.succeed(core.answers.tooSlow)
        }
      }
    )
  }

  private refuse(outcome: Outcome, response: Response): Effect.Effect<Response> {
    this.refusal = outcome
    return Effect.succeed(this.answer(response))
  }

  private answered<E, R>(run: Effect.Effect<Response, E, R>): Effect.Effect<Response, E, R> {
    const response = responseOf(run)
    return response === undefined
      ? Effect.map(run, (response) => this.answer(response))
      : Exit.succeed(this.answer(response))
  }

  private answer(response: Response): Response {
    // Whoever keeps a connection to a server that drains would send its next request in vain.
    if (this.isActive && this.core.isDraining) this.fields = { ...this.fields, connection: "close" }
    return this.fields === undefined ? response : withFields(response, this.fields)
  }

  end(exit: Exit.Exit<Response, unknown>): Effect.Effect<void> | undefined {
    if (this.place === "waiting") {
      this.place = "outside"
      this.route?.gate.leave()
    }
    this.record(exit)
    const { context, fields } = this
    if (context === undefined) return this.release(exit)
    this.fiber?.setContext(context)
    if (Exit.isFailure(exit)) {
      // The answer to a failure is made further out: it has its fields too, and never nothing to read.
      HttpEffect.appendPreResponseHandlerUnsafe(context, (_, response) => {
        const isMute = response.body._tag === "Empty" && response.status >= 400
        return Effect.succeed(withFields(isMute ? Problem.ofStatus(response.status) : response, fields ?? {}))
      })
      return this.release(exit)
    }
    if (exit.value.body._tag !== "Stream" || !this.isActive) return this.release(exit)
    const scope = Context.getOption(context, Scope.Scope)
    return scope._tag === "None"
      ? this.release(exit)
      : Scope.addFinalizer(
          scope.value,
          Effect.suspend(() => this.release(exit) ?? Effect.void)
        )
  }

  private record(exit: Exit.Exit<Response, unknown>): void {
    const { clock, refusal, telemetry } = this
    if (telemetry === undefined || clock === undefined) return
    const outcome =
      refusal ??
      (Exit.isSuccess(exit)
        ? outcomeOfStatus(exit.value.status)
        : Cause.hasInterruptsOnly(exit.cause)
          ? "interrupted"
          : "error")
    telemetry.outcome[outcome].incrementUnsafe()
    if (refusal === undefined) telemetry.seconds.observeUnsafe((now(clock) - this.startedAt) / 1e9)
  }

  private release(exit: Exit.Exit<Response, unknown>): Effect.Effect<void> | undefined {
    const { core } = this
    if (this.place === "inside") {
      this.place = "outside"
      this.route?.gate.release()
    }
    if (this.isActive) {
      this.isActive = false
      if (--core.active === 0) for (const tell of core.onIdle.splice(0)) tell()
    }
    return this.waitScope === undefined ? undefined : Scope.closeUnsafe(this.waitScope, exit)
  }
}

const exceeded = (cause: Cause.Cause<unknown>): Deadline.DeadlineExceeded | undefined => {
  for (const reason of cause.reasons) {
    if (Cause.isFailReason(reason) && reason.error instanceof Deadline.DeadlineExceeded) return reason.error
  }
  return undefined
}

/** The response that an effect is already, if it is one. */
const responseOf = (effect: Effect.Effect<Response, unknown, unknown>): Response | undefined => {
  if (!Exit.isExit(effect) || !Exit.isSuccess(effect)) return undefined
  const value: unknown = effect.value
  return HttpServerResponse.isHttpServerResponse(value) ? value : undefined
}

/** Lets a handler run, or answers in its place. Without a route it is let in whatever is going on. */
export const visiting = <E, R>(
  core: Core,
  route: Route | undefined,
  telemetry: ClassTelemetry | undefined,
  handler: Effect.Effect<Response, E, R>
): Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest> => {
  const framed = Effect.suspend(() => {
    const visit = new Visit(core, route, telemetry)
    return Effect.onExitPrimitive(
      Effect.withFiber<Response, E, R | HttpServerRequest.HttpServerRequest>((fiber) => visit.begin(fiber, handler)),
      (exit) => visit.end(exit)
    )
  })
  const ready = responseOf(handler)
  const isDecidedHere = core.overload === undefined && (core.rate === undefined || core.rate.decideUnsafe !== undefined)
  // A stream has only begun when it is there.
  return ready !== undefined && ready.body._tag !== "Stream" && isDecidedHere
    ? Effect.withFiber((fiber) => new Visit(core, route, telemetry).atOnce(fiber, ready) ?? framed)
    : framed
}
