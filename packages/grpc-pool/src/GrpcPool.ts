/**
 * Calls of typed gRPC clients over shared HTTP/2 sessions: one session an
 * address while its streams last, and more when they run out.
 *
 * Addresses come, go, fail and recover while calls run. A call waits for a
 * stream, in the order of its arrival, and never for a server that cannot be
 * reached while another can.
 *
 * @module
 */
import type * as http2 from "node:http2"
import type { DescService } from "@bufbuild/protobuf"
import type { Interceptor, Transport } from "@connectrpc/connect"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ClientOptions, GrpcClient } from "./GrpcClient.ts"
import { makeClient } from "./internal/client.ts"
import { type Address, Core } from "./internal/core.ts"
import { originOf, settingsOf } from "./internal/settings.ts"
import { statsOf } from "./internal/stats.ts"
import { makeTransport } from "./internal/transport.ts"
import { connected, keepAlive, watchHealth } from "./internal/watch.ts"

/** What is spoken over the sessions, all of it over HTTP/2. */
export type Protocol = "grpc" | "grpc-web" | "connect"

export interface KeepAliveOptions {
  /** Time between pings. Servers may close what pings them too often: grpc-js and grpc-go want 5 minutes by default. */
  readonly interval: Duration.Input
  /** Time for the answer, after which the session is closed and its calls fail. Default 20 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Whether sessions without calls are pinged too. Default `false`. */
  readonly idle?: boolean | undefined
}

export interface HealthCheckOptions {
  /** The service whose health is asked for. Default: the server's as a whole. */
  readonly service?: string | undefined
  /** Time between two checks of an address. Default 10 seconds. */
  readonly interval?: Duration.Input | undefined
  /** Time for the answer. Default 1 second. */
  readonly timeout?: Duration.Input | undefined
}

/** What a pool is made with. Everything but the addresses has a default. */
export interface Options {
  /** `host:port`, which is plain text, or an `http://` or `https://` URL. More may be added, and these removed, later. */
  readonly addresses: ReadonlyArray<string>
  /** Default `"grpc"`. */
  readonly protocol?: Protocol | undefined
  /** Which address a call goes to: the one with the fewest streams in use, or each in its turn. Default `"least-loaded"`. */
  readonly balance?: "least-loaded" | "round-robin" | undefined
  /** Sessions to one address at most; there is one until its streams run out. Default 8. */
  readonly maxSessionsPerAddress?: number | undefined
  /** Streams on one session at most. Default: as many as the server allows. */
  readonly maxStreamsPerSession?: number | undefined
  /** Calls that may wait for a stream; one more fails with `Code.ResourceExhausted`. Default 10,000. */
  readonly maxWaiting?: number | undefined
  /** Size of an answer's message at most. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined
  /** Whether calls wait while no address can be reached, where they otherwise fail. Default `false`. */
  readonly waitForReady?: boolean | undefined
  /** Time for a connection to be ready: TCP, TLS and the server's first word. Default 20 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** How long after a failed connection the next is tried: `base`, then 1.6 times as long each time, to `cap`. */
  readonly reconnect?:
    | {
        /** Default 50 ms. */
        readonly base?: Duration.Input | undefined
        /** Default 10 seconds. */
        readonly cap?: Duration.Input | undefined
      }
    | undefined
  /** How long a session that nothing uses is kept. Default 15 minutes. */
  readonly idleTimeout?: Duration.Input | undefined
  /** How long a drain lets calls in flight go on. Default 30 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /** Pings. Default: none, as in gRPC; without them a peer that has gone silent is noticed by deadlines only. */
  readonly keepAlive?: KeepAliveOptions | undefined
  /** Checks of `grpc.health.v1`. Default: none. */
  readonly healthCheck?: HealthCheckOptions | undefined
  /** Connect's interceptors. With any of them unary gRPC calls go the way of Connect's transport, which is slower. */
  readonly interceptors?: ReadonlyArray<Interceptor> | undefined
  /** TLS for `https://` addresses: certificates and the rest of what `http2.connect` takes. */
  readonly tls?: http2.SecureClientSessionOptions | undefined
}

/** One address at a glance. */
export interface AddressStats {
  readonly address: string
  /**
   * - `idle`: no connection, none tried
   * - `connecting`: the first is being made
   * - `ready`: takes calls
   * - `failed`: cannot be reached, and is tried again
   * - `not-serving`: says itself that it is not well
   * - `draining`: removed, its calls are finishing
   */
  readonly state: "idle" | "connecting" | "ready" | "failed" | "not-serving" | "draining"
  /** Sessions that are open. */
  readonly open: number
  readonly streamsInUse: number
  /** Calls that were given a stream here, and those of them that failed. */
  readonly calls: number
  readonly failures: number
  /** Why the last connection could not be made. */
  readonly lastError: string | undefined
}

/** What a pool is doing, and has done. Attempts count as calls. */
export interface Stats {
  /** Sessions that are open. */
  readonly open: number
  /** Sessions that are being made. */
  readonly connecting: number
  readonly streamsInUse: number
  /** Calls that wait for a stream. */
  readonly waiting: number
  /** Sessions that were opened, and those that have closed since. */
  readonly created: number
  readonly closed: number
  /** Calls that were given a stream, and those of them whose session had carried another before. */
  readonly calls: number
  readonly reused: number
  readonly succeeded: number
  readonly failures: number
  readonly cancelled: number
  readonly addresses: ReadonlyArray<AddressStats>
}

export interface GrpcPool {
  /** A client for a service of generated code, its methods effects and streams. Costs O(methods): make it once. */
  client<S extends DescService>(service: S, options?: ClientOptions): GrpcClient<S>
  /** For Connect's own clients (`createClient(service, pool.transport)`): the same pool, without retries or hedges. */
  readonly transport: Transport
  /** Adds an address; `false` if it is there already. */
  add(address: string): Effect.Effect<boolean>
  /**
   * Takes an address out, and waits until the calls that it has are done; `false` if it is not there. A caller that does
   * not wait to the end leaves the drain to itself.
   */
  remove(address: string): Effect.Effect<boolean>
  /** Connects to every address, and answers how many could be reached. */
  readonly warmUp: Effect.Effect<number>
  /** What the pool does, read when asked. Costs O(addresses + sessions). */
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
  /**
   * Takes no more calls, refuses those that wait for a stream, lets those in flight end for `drainTimeout`, then closes
   * every session. The end of the pool's scope does the same.
   */
  readonly close: Effect.Effect<void>
}

/** The pool, as a service. */
export const GrpcPool: Context.Service<GrpcPool, GrpcPool> = Context.Service<GrpcPool>("@sluice/grpc-pool/GrpcPool")

/**
 * Makes a pool that is closed with its scope. Dies with a `RangeError` if an option is out of range.
 *
 * **Details**
 *
 * Nothing is connected before the first call or `warmUp`. A call costs O(addresses + sessions). Time is Effect's clock,
 * but for the deadlines of calls through `transport`.
 *
 * **Gotchas**
 *
 * Deadlines are for each call to have: a server that is there and silent holds a call without one for as long as it
 * likes, unless `keepAlive` finds it out.
 *
 * @example
 * ```ts
 * import { GrpcPool } from "@sluice/grpc-pool"
 * import { EchoServer, EchoService } from "@sluice/grpc-pool/testing"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* EchoServer.make()
 *   const pool = yield* GrpcPool.make({ addresses: [server.address] })
 *   const echo = pool.client(EchoService, { timeout: "5 seconds" })
 *   yield* Effect.forEach(Array(100).keys(), (i) => echo.echo({ message: `${i}` }), { concurrency: 20 })
 *   const { created, reused } = pool.statsUnsafe()
 *   console.log(`${created} session, reused ${reused} times`) // => 1 session, reused 99 times
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const make = (options: Options): Effect.Effect<GrpcPool, never, Scope.Scope> =>
  Effect.gen(function* () {
    const settings = settingsOf(options)
    const clock = yield* Clock.Clock
    const runFork = Effect.runForkWith(yield* Effect.context<never>())
    const fibers = new Set<Fiber.Fiber<unknown>>()
    const fork = (effect: Effect.Effect<unknown>): Fiber.Fiber<unknown> => {
      const fiber = runFork(effect)
      fibers.add(fiber)
      fiber.addObserver(() => fibers.delete(fiber))
      return fiber
    }
    const after = (millis: number, run: () => void): (() => void) => {
      if (millis === Number.POSITIVE_INFINITY) return () => {}
      const fiber = fork(Effect.delay(Effect.sync(run), millis))
      return () => fiber.interruptUnsafe()
    }
    const now = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const core = new Core(settings, after, now, (session) => {
      if (settings.keepAlive !== undefined) fork(keepAlive(session, settings.keepAlive))
    })
    const addUnsafe = (address: string): boolean => {
      const added = core.add(originOf(address))
      if (added !== undefined && settings.health !== undefined) fork(watchHealth(core, added, settings.health))
      return added !== undefined
    }
    for (const address of options.addresses) addUnsafe(address)
    if (settings.idleMillis !== Number.POSITIVE_INFINITY) {
      fork(
        Effect.forever(
          Effect.andThen(
            Effect.sleep(settings.idleMillis / 2),
            Effect.sync(() => core.closeIdle())
          )
        )
      )
    }
    const gone = (address: Address): Effect.Effect<void> =>
      Effect.callback<void>((resume) => {
        const look = (): void => {
          if (!address.isEmpty) return
          address.onSettled.delete(look)
          resume(Effect.void)
        }
        address.onSettled.add(look)
        look()
        return Effect.sync(() => address.onSettled.delete(look))
      })
    const close = Effect.suspend(() => {
      core.close()
      return Effect.forEach([...core.leaving], gone, { concurrency: "unbounded", discard: true })
    }).pipe(
      Effect.timeoutOrElse({ duration: settings.drainMillis, orElse: () => Effect.void }),
      Effect.andThen(Effect.sync(() => core.destroy())),
      Effect.andThen(Effect.suspend(() => Fiber.interruptAll([...fibers])))
    )
    yield* Effect.addFinalizer(() => close)
    const statsUnsafe = (): Stats => statsOf(core)
    return {
      client: (service, clientOptions = {}) => makeClient(core, service, clientOptions),
      transport: makeTransport(core),
      add: (address) => Effect.sync(() => addUnsafe(address)),
      remove: (address) =>
        Effect.suspend(() => {
          const removed = core.remove(originOf(address))
          return removed === undefined ? Effect.succeed(false) : Effect.as(gone(removed), true)
        }),
      warmUp: Effect.suspend(() =>
        Effect.map(
          Effect.forEach([...core.addresses.values()], (address) => connected(core, address), {
            concurrency: "unbounded"
          }),
          (sessions) => sessions.filter((session) => session !== undefined).length
        )
      ),
      stats: Effect.sync(statsUnsafe),
      statsUnsafe,
      close
    }
  })

/** Provides a pool. */
export const layer = (options: Options): Layer.Layer<GrpcPool> => Layer.effect(GrpcPool, make(options))
