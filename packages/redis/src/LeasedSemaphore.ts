/**
 * Bounds how many effects run at once across all processes that share a Redis.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Restore } from "./internal/cell.ts"
import { checkWeight, makeLeases } from "./internal/leases.ts"
import type { Tenure } from "./internal/tickets.ts"
import { type RedisAway, RedisSession } from "./RedisSession.ts"
import type { WhenAway } from "./WhenAway.ts"

export interface Options {
  /** What names the semaphore: all who give the same name share it. */
  readonly name: string
  /** Permits that exist, until a `resize` says otherwise. */
  readonly permits: number
  /**
   * How long permits stay with a holder that is not heard of. Default 10 seconds. They are renewed at a third of it, by
   * one command for all of the process.
   */
  readonly lease?: Duration.Input | undefined
  /** What to do when Redis is away. Default `failClosed`. */
  readonly whenAway?: WhenAway | undefined
}

/** What this process has of a semaphore. */
export interface Stats {
  /** Permits that exist, as last heard. */
  readonly capacity: number
  /** Permits that this process holds through Redis. */
  readonly held: number
  /** Permits that this process holds without Redis, by the policy for when it is away. */
  readonly heldLocally: number
  /** Fibers of this process that wait. */
  readonly waiting: number
  /** Requests of this process that were given their permits. */
  readonly admitted: number
  /** Of these, without Redis. */
  readonly admittedLocally: number
  /** Requests that were refused, because the permits were not free at once or Redis was away. */
  readonly rejected: number
  /** Leases that were lost. */
  readonly lost: number
  /** Waiters that lost their turn with their ticket, and went to the end of the queue. */
  readonly requeued: number
  readonly isAway: boolean
}

/** What all processes have of a semaphore together, as Redis knows it. */
export interface Shared {
  readonly capacity: number
  readonly held: number
  readonly waiting: number
  /** The last fencing token that was given. */
  readonly token: number
}

/** The facts of a lost lease. */
export interface LeaseLostFields {
  readonly name: string
  /** The fencing token of the lease. */
  readonly token: number
  /** `expired`: it could not be renewed in time. `gone`: Redis does not know it any more. */
  readonly reason: "expired" | "gone"
}

const LeaseLostBase: new (
  fields: LeaseLostFields
) => Cause.YieldableError & { readonly _tag: "@sluice/redis/LeaseLost" } & LeaseLostFields = Data.TaggedError(
  "@sluice/redis/LeaseLost"
)<LeaseLostFields>

/** The permits went to others, or may have: the holder was interrupted. */
export class LeaseLost extends LeaseLostBase {
  override get message(): string {
    const why = this.reason === "expired" ? "it could not be renewed in time" : "Redis does not know it any more"
    return `Lost the lease ${this.token} of the semaphore ${this.name}: ${why}`
  }
}

/** Permits that are held, and the proof to show to what they protect. */
export interface Lease {
  readonly permits: number
  /** Greater than that of every lease before it. `undefined` where Redis was away and the policy let it through. */
  readonly token: number | undefined
  /**
   * Which of the permits these are: numbers from 0, each held by one lease at a time. Empty without a token. A resource
   * that keeps, for each slot, the greatest token it has seen, and refuses smaller ones, is safe from a holder that came
   * back from the dead.
   */
  readonly slots: ReadonlyArray<number>
  /** Never succeeds: fails when the lease is lost. */
  readonly lost: Effect.Effect<never, LeaseLost>
}

/**
 * Permits that processes share, each for as long as its holder is heard of.
 *
 * **When to use**
 *
 * To bound work in flight over several machines: calls to a model that serves them all, jobs that must not run twice.
 *
 * **Details**
 *
 * First come, first served, whatever the weight, in the order in which requests reach Redis. Whoever gives permits back
 * hands them to the head of the queue in the same script, and its process is told by a message: to ask, to wait, to be
 * woken and to give back are two commands at most, and what a process asks at once goes in one. A process renews all that it holds, and all its places in the queue, by one
 * command every third of the lease, which also finds what a lost message would have told.
 *
 * A holder whose lease is lost is interrupted, and fails with `LeaseLost`. Until it notices, it may still act: what must
 * not be touched twice has to look at the fencing token. `docs/guarantees.md` says what holds and what cannot.
 *
 * **Gotchas**
 *
 * Asking for more permits than the semaphore has had dies with a `RangeError`. Those who wait are not bounded in number.
 * Order is lost where a waiter's ticket is: when its process stood still for longer than a lease, or Redis lost its data.
 */
export interface LeasedSemaphore {
  /** Runs an effect holding one permit. */
  withPermit<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | LeaseLost | RedisAway, R>
  /** Runs an effect holding `permits` permits, which are given back however it ends. */
  withPermits(
    permits: number
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LeaseLost | RedisAway, R>
  /** Runs an effect that is given the lease, with its fencing token. */
  withLease(
    permits: number
  ): <A, E, R>(use: (lease: Lease) => Effect.Effect<A, E, R>) => Effect.Effect<A, E | LeaseLost | RedisAway, R>
  /** Runs an effect if the permits are free at once, and answers `None` if they are not. */
  withPermitsIfAvailable(
    permits: number
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E | LeaseLost | RedisAway, R>
  /** Takes permits, waiting for them if need be. Whoever takes must `release`, and heed `lost`. */
  take(permits: number): Effect.Effect<Lease, RedisAway>
  /** Takes permits until the scope closes. Nobody is interrupted when they are lost: heed `lost`. */
  takeScoped(permits: number): Effect.Effect<Lease, RedisAway, Scope.Scope>
  /** Takes permits if they are free at once. */
  takeIfAvailable(permits: number): Effect.Effect<Option.Option<Lease>, RedisAway>
  /**
   * Gives a lease back, once; a second time does nothing. Does not wait for Redis: it goes with the next command, at
   * the end of this turn of the event loop. Where Redis is away it is told later, or the lease ends.
   */
  release(lease: Lease): Effect.Effect<void>
  /** Changes how many permits exist, for all. Growing admits waiters at once; shrinking lets holders finish. */
  resize(permits: number): Effect.Effect<void, RedisAway>
  /** What all processes have together. One command. */
  readonly shared: Effect.Effect<Shared, RedisAway>
  /** What this process has. */
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

/**
 * Makes this process's side of a semaphore, for as long as the scope is open. It is made whether Redis is there or not.
 * Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { LeasedSemaphore, RedisSession } from "@sluice/redis"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const semaphore = yield* LeasedSemaphore.make({ name: "model-calls", permits: 2 })
 *   const call = semaphore.withLease(1)((lease) => Effect.succeed(`slot ${lease.slots[0]}`))
 *   console.log(yield* call) // => slot 0
 * })
 *
 * const redis = NodeRedis.layer({ url: process.env["REDIS_URL"] ?? "redis://localhost" })
 * const session = RedisSession.layer().pipe(Layer.provide(redis))
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(session)))
 * ```
 */
export const make = (options: Options): Effect.Effect<LeasedSemaphore, never, RedisSession | Scope.Scope> =>
  Effect.gen(function* () {
    const session = yield* RedisSession
    const leases = yield* makeLeases(session, {
      name: options.name,
      permits: options.permits,
      leaseMillis: Duration.toMillis(options.lease ?? "10 seconds"),
      whenAway: options.whenAway ?? "failClosed",
      makeLost: (fields) => new LeaseLost(fields)
    })
    const given = new WeakMap<Lease, Tenure>()

    const leaseOf = (tenure: Tenure): Lease => {
      const lease = { permits: tenure.weight, token: tenure.token, slots: tenure.slots, lost: lostOf(tenure) }
      given.set(lease, tenure)
      return lease
    }

    const lostOf = (tenure: Tenure): Effect.Effect<never, LeaseLost> =>
      Effect.callback((resume) => {
        const stop = tenure.onLost((error) => resume(Effect.fail(error)))
        return Effect.sync(stop)
      })

    // The holder runs in a fiber of its own, which a lost lease interrupts: half of what a race would cost.
    const heedful = <A, E, R>(tenure: Tenure, self: Effect.Effect<A, E, R>): Effect.Effect<A, E | LeaseLost, R> =>
      Effect.flatMap(Effect.context<R>(), (context) =>
        Effect.callback<A, E | LeaseLost>((resume) => {
          let lost: LeaseLost | undefined
          const fiber = Effect.runForkWith(context)(self)
          const stop = tenure.onLost((error) => {
            lost = error
            fiber.interruptUnsafe()
          })
          fiber.addObserver((exit) => {
            stop()
            resume(lost === undefined || Exit.isSuccess(exit) ? exit : Effect.fail(lost))
          })
          return Fiber.interrupt(fiber)
        })
      )

    const holding =
      <A, E, R>(use: (tenure: Tenure) => Effect.Effect<A, E, R>, restore: Restore) =>
      (tenure: Tenure): Effect.Effect<A, E | LeaseLost, R> =>
        Effect.onExit(
          restore(
            heedful(
              tenure,
              Effect.suspend(() => use(tenure))
            )
          ),
          () => leases.release(tenure)
        )

    const using = <A, E, R>(
      permits: number,
      use: (tenure: Tenure) => Effect.Effect<A, E, R>
    ): Effect.Effect<A, E | LeaseLost | RedisAway, R> =>
      Effect.uninterruptibleMask((restore) => Effect.flatMap(leases.acquire(permits, restore), holding(use, restore)))

    const withPermits: LeasedSemaphore["withPermits"] = (permits) => {
      checkWeight(permits)
      return (self) => using(permits, () => self)
    }

    const releasing = (tenure: Tenure) => leases.release(tenure)

    return {
      withPermit: (self) => using(1, () => self),
      withPermits,
      withLease: (permits) => {
        checkWeight(permits)
        return (use) => using(permits, (tenure) => use(leaseOf(tenure)))
      },
      withPermitsIfAvailable: (permits) => {
        checkWeight(permits)
        return (self) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(leases.tryAcquire(permits, restore), (tenure) =>
              tenure === undefined ? Effect.succeedNone : Effect.asSome(holding(() => self, restore)(tenure))
            )
          )
      },
      take: (permits) => Effect.uninterruptibleMask((restore) => Effect.map(leases.acquire(permits, restore), leaseOf)),
      takeScoped: (permits) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(leases.acquire(permits, restore), (tenure) =>
            Effect.as(
              Effect.addFinalizer(() => releasing(tenure)),
              leaseOf(tenure)
            )
          )
        ),
      takeIfAvailable: (permits) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.map(leases.tryAcquire(permits, restore), (tenure) =>
            tenure === undefined ? Option.none() : Option.some(leaseOf(tenure))
          )
        ),
      release: (lease) =>
        Effect.suspend(() => {
          const tenure = given.get(lease)
          return tenure === undefined ? Effect.void : releasing(tenure)
        }),
      resize: leases.resize,
      shared: leases.shared,
      stats: Effect.sync(leases.stats),
      statsUnsafe: leases.stats
    }
  })
