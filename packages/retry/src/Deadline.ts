/**
 * One point in time by which a whole tree of calls must be done, known to
 * everything inside it and carried to other machines.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { encodeDeadline, encodeGrpcTimeout, parseDeadline, parseGrpcTimeout } from "./internal/deadlineHeaders.ts"
import { checked, monotonicMillis } from "./internal/time.ts"

/** What a caller whose deadline passed is told. */
export interface DeadlineExceededFields {
  /** Milliseconds that there were when the deadline was set, or that it had passed by. */
  readonly remainingMillis: number
  /** Whether the work had been started, and was interrupted. */
  readonly isStarted: boolean
}

const DeadlineExceededBase: new (
  fields: DeadlineExceededFields
) => Cause.YieldableError & { readonly _tag: "@sluice/retry/DeadlineExceeded" } & DeadlineExceededFields =
  Data.TaggedError("@sluice/retry/DeadlineExceeded")<DeadlineExceededFields>

/** The deadline passed: before the work was started, which then never was, or while it ran. */
export class DeadlineExceeded extends DeadlineExceededBase {
  override get message(): string {
    return this.isStarted
      ? `The work was not done within the ${this.remainingMillis} ms that were left until its deadline`
      : `The work was not started: its deadline had passed ${-this.remainingMillis} ms before`
  }
}

/**
 * The deadline in force: milliseconds of the clock's monotonic time, infinite where there is none. Set by the functions
 * of this module only; `Retry` reads it to wait for nothing that comes too late.
 */
export const Current: Context.Reference<number> = Context.Reference<number>("@sluice/retry/Deadline/Current", {
  defaultValue: () => Number.POSITIVE_INFINITY
})

/** What a deadline has been for. */
export interface Stats {
  /** Effects that were started under it. */
  readonly started: number
  /** Those that it interrupted. */
  readonly missed: number
  /** Effects that were not started, since it had passed. */
  readonly refused: number
}

/** A policy: runs an effect under a deadline, and counts. */
export interface Policy {
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | DeadlineExceeded, R>
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
}

type Counts = { -readonly [Name in keyof Stats]: number }

const noCounts = (): Counts => ({ started: 0, missed: 0, refused: 0 })

const enforcing =
  (until: (clock: Clock.Clock) => number, counts: Counts) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | DeadlineExceeded, R> =>
    Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const at = Math.min(fiber.getRef(Current), until(clock))
      const remainingMillis = at - monotonicMillis(clock)
      if (remainingMillis === Number.POSITIVE_INFINITY) {
        counts.started++
        return self
      }
      if (remainingMillis <= 0) {
        counts.refused++
        return Effect.fail(new DeadlineExceeded({ remainingMillis, isStarted: false }))
      }
      counts.started++
      return Effect.timeoutOrElse(Effect.provideService(self, Current, at), {
        duration: Duration.millis(remainingMillis),
        orElse: () => {
          counts.missed++
          return Effect.fail(new DeadlineExceeded({ remainingMillis, isStarted: true }))
        }
      })
    })

/** Adds the figures to what counts them. */
const observed = <F extends object>(policy: F, counts: Counts): F & Pick<Policy, "stats" | "statsUnsafe"> => {
  const statsUnsafe = (): Stats => ({ ...counts })
  return Object.assign(policy, { stats: Effect.sync(statsUnsafe), statsUnsafe })
}

const make = (until: (clock: Clock.Clock) => number): Policy => {
  const counts = noCounts()
  return observed(enforcing(until, counts), counts)
}

/**
 * Gives an effect so long from when it is run. Nested deadlines take the least: an inner one can shorten what is left,
 * never lengthen it. What would start after its deadline is not started.
 *
 * **Gotchas**
 *
 * Work that is interrupted is waited for: its finalizers run before the failure is seen, and what cannot be interrupted
 * runs to its end. Work forked to live on by itself knows the deadline, and is not interrupted by it.
 *
 * @example
 * ```ts
 * import { Deadline } from "@sluice/retry"
 * import { Effect } from "effect"
 *
 * const program = Effect.never.pipe(
 *   Deadline.within("10 seconds"),
 *   Deadline.within("20 millis"),
 *   Effect.catchTag("@sluice/retry/DeadlineExceeded", (error) => Effect.succeed(error.isStarted))
 * )
 *
 * console.log(await Effect.runPromise(program)) // => true
 * ```
 */
export const within = (duration: Duration.Input): Policy => {
  const millis = checked("set a deadline", "duration", Duration.toMillis(duration), 0)
  return make((clock) => monotonicMillis(clock) + millis)
}

/** Gives an effect until a time of the wall clock, in milliseconds since 1970; otherwise as {@link within}. */
export const at = (epochMillis: number): Policy => {
  checked("set a deadline", "time", epochMillis, 0)
  return make((clock) => monotonicMillis(clock) + epochMillis - clock.currentTimeMillisUnsafe())
}

/** How long is left: `None` without a deadline, zero after it. */
export const remaining: Effect.Effect<Option.Option<Duration.Duration>> = Effect.withFiber((fiber) => {
  const deadline = fiber.getRef(Current)
  return Effect.succeed(
    deadline === Number.POSITIVE_INFINITY
      ? Option.none()
      : Option.some(Duration.millis(Math.max(0, deadline - monotonicMillis(fiber.getRef(Clock.Clock)))))
  )
})

export interface HeaderOptions {
  /** The header's name, in lower case. Default `x-request-deadline`. */
  readonly name?: string | undefined
}

const headerName = (options: HeaderOptions | undefined): string => options?.name ?? "x-request-deadline"

/**
 * The headers that carry the deadline in force; none without one.
 *
 * **Details**
 *
 * `X-Request-Deadline` has the time itself (RFC 3339, in UTC, to the millisecond): machines whose clocks agree lose no
 * time on the way. `grpc-timeout` has what is left, as gRPC writes it: it does not need the clocks to agree.
 *
 * @example
 * ```ts
 * import { Deadline } from "@sluice/retry"
 * import { Effect } from "effect"
 *
 * const program = Deadline.within("5 seconds")(Deadline.headers())
 * const headers = await Effect.runPromise(program)
 * console.log(Object.keys(headers)) // => [ 'x-request-deadline', 'grpc-timeout' ]
 * ```
 */
export const headers = (options?: HeaderOptions): Effect.Effect<Readonly<Record<string, string>>> =>
  Effect.withFiber((fiber) => {
    const deadline = fiber.getRef(Current)
    if (deadline === Number.POSITIVE_INFINITY) return Effect.succeed({})
    const clock = fiber.getRef(Clock.Clock)
    const left = Math.max(0, deadline - monotonicMillis(clock))
    return Effect.succeed({
      [headerName(options)]: encodeDeadline(clock.currentTimeMillisUnsafe() + left),
      "grpc-timeout": encodeGrpcTimeout(left)
    })
  })

export interface FromHeadersOptions extends HeaderOptions {
  /** The longest that a request gets, whatever it asks for, or if it asks for nothing. Default: no such bound. */
  readonly maximum?: Duration.Input | undefined
}

/** Takes deadlines from the headers of requests, and counts over all of them. */
export interface Receiver {
  (
    received: Readonly<Record<string, string | undefined>>
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DeadlineExceeded, R>
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
}

/**
 * Runs the work of requests under the deadlines that came with them: the least of `X-Request-Deadline` (RFC 3339, or
 * milliseconds since 1970), `grpc-timeout` and `maximum`. A header that makes no sense is ignored, with a warning. The
 * names of the headers given are in lower case, as in Effect's `Headers`. Make it once for a server, so that its figures
 * are of all its requests.
 */
export const receiver = (options?: FromHeadersOptions): Receiver => {
  const counts = noCounts()
  const maximum = options?.maximum === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(options.maximum)
  const receive =
    (received: Readonly<Record<string, string | undefined>>) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | DeadlineExceeded, R> =>
      Effect.withFiber((fiber) => {
        const wall = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
        const ignored: Array<string> = []
        const read = (name: string, parse: (value: string) => number | undefined): number => {
          const value = received[name]
          if (value === undefined) return Number.POSITIVE_INFINITY
          const parsed = parse(value)
          if (parsed === undefined) ignored.push(`Ignoring ${name} ${JSON.stringify(value)}: not a deadline`)
          return parsed ?? Number.POSITIVE_INFINITY
        }
        const left = Math.min(
          read(headerName(options), (value) => {
            const deadline = parseDeadline(value)
            return deadline === undefined ? undefined : deadline - wall
          }),
          read("grpc-timeout", parseGrpcTimeout),
          maximum
        )
        const run = enforcing((clock) => monotonicMillis(clock) + left, counts)(self)
        return ignored.length === 0 ? run : Effect.andThen(Effect.logWarning(...ignored), run)
      })
  return observed(receive, counts)
}

/** A {@link receiver} for one request: runs its work under the deadline that came with it. */
export const fromHeaders = (
  received: Readonly<Record<string, string | undefined>>,
  options?: FromHeadersOptions
): (<A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DeadlineExceeded, R>) => receiver(options)(received)
