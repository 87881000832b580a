/**
 * What a file of scenarios exports: who does what, how often, and with which data.
 *
 * @module
 */
import type { Effect } from "effect"
import type { FeedSpec, RowOf } from "./Feed.ts"

/** Work of any kind: a value, a promise of it, or an effect. */
export type Task<A> = A | Promise<A> | Effect.Effect<A, unknown>

/** An answer, or the lack of one. */
export interface Answer {
  /** 0 where there was no answer. */
  readonly status: number
  /** Whether it was answered with an expected status. */
  readonly ok: boolean
  /** What went wrong, such as `timeout` or `refused`; absent when it was answered. */
  readonly error: string | undefined
  /** Names are in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array
  /** From when it was to begin until it was over. */
  readonly millis: number
  readonly text: () => string
  /** Throws where the body is not JSON. */
  readonly json: () => unknown
  /** The value at a path of the body, such as `items.0.id`; `undefined` where there is none. */
  readonly at: (path: string) => unknown
  /** The first group of what the expression finds in the body, or all of it; `undefined` where it finds nothing. */
  readonly find: (expression: RegExp) => string | undefined
}

export interface RequestOptions {
  /** What the request is called in the results. Default its method and path. */
  readonly name?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as it is, or as JSON. */
  readonly body?: string | Uint8Array
  readonly json?: unknown
  /** Whether it counts in the results. Default true. */
  readonly counts?: boolean
}

/** Requests over the connections of the run. What fails does not throw: the answer has the status 0. */
export interface Http {
  readonly request: (method: string, url: string, options?: RequestOptions) => Promise<Answer>
  readonly get: (url: string, options?: RequestOptions) => Promise<Answer>
  readonly post: (url: string, options?: RequestOptions) => Promise<Answer>
  readonly put: (url: string, options?: RequestOptions) => Promise<Answer>
  readonly patch: (url: string, options?: RequestOptions) => Promise<Answer>
  readonly delete: (url: string, options?: RequestOptions) => Promise<Answer>
}

/** What a call of gRPC came to. */
export interface GrpcAnswer {
  /** 0 where all is well; absent where there was no answer. */
  readonly code: number | undefined
  readonly error: string | undefined
  /** The bytes of each message. */
  readonly messages: ReadonlyArray<Uint8Array>
  readonly millis: number
}

/**
 * Calls `grpc://host:port/package.Service/Method` with the bytes of a message, or of the messages of a stream, and waits for
 * all that come back.
 */
export type GrpcCall = (
  address: string,
  message: Uint8Array | ReadonlyArray<Uint8Array>,
  options?: Pick<RequestOptions, "name" | "headers" | "counts">
) => Promise<GrpcAnswer>

/** Sends a message over a WebSocket, on a connection that is kept for the next, and waits for the next that comes. */
export type WebSocketExchange = (
  address: string,
  message: string | Uint8Array,
  options?: Pick<RequestOptions, "name" | "headers" | "counts">
) => Promise<Answer>

export type Feeds = Readonly<Record<string, FeedSpec>>

/** One who goes through a scenario, again and again. */
export interface User<F extends Feeds = Feeds, Shared = unknown> {
  /** From zero. In an open model, the place among those in flight. */
  readonly id: number
  /** How many iterations this user began, this one included. */
  readonly iteration: number
  /** What `setUp` answered. */
  readonly shared: Shared
  /** Kept from one iteration of the user to its next. */
  readonly values: Map<string, unknown>
  /** In [0, 1); the same numbers for the same seed. */
  readonly random: () => number
  readonly http: Http
  readonly grpc: GrpcCall
  readonly ws: WebSocketExchange
  /** Aborted when the run is cut. */
  readonly signal: AbortSignal
  /** The next row of a feed. */
  readonly feed: <K extends keyof F & string>(name: K) => RowOf<F[K]>
  /** Counts whether something holds, and answers that. */
  readonly check: (name: string, holds: boolean) => boolean
  /** Does work of any kind, and records it as a step: how long it took, and whether it failed. */
  readonly step: <A>(name: string, work: () => Task<A>) => Promise<A>
  /** Gives what is done by the user that is handed over a common name in the results. */
  readonly group: <A>(name: string, body: (user: User<F, Shared>) => Task<A>) => Promise<A>
  /** Pauses: `500ms`, or any time between two. */
  readonly think: (time: string, upTo?: string) => Promise<void>
}

/** How much of a scenario there is to be, as on the command line. */
export interface LoadSpec {
  /** Users of a closed model. */
  readonly users?: number
  /** Arrivals of an open one: `100`, `6000/m`. */
  readonly rate?: number | string
  readonly duration?: string
  readonly stages?: string
  readonly pattern?: string
  readonly iterations?: number
  readonly poisson?: boolean
  readonly maxInFlight?: number
  /** File of moments, from the scenario's folder. */
  readonly replay?: string
  readonly replaySpeed?: number
}

export interface Scenario<F extends Feeds, Shared> {
  /** How often it is chosen among those without a load of their own. Default 1. */
  readonly weight?: number
  /** A load of its own. Without one it has its part of what the command line asks for. */
  readonly load?: LoadSpec
  readonly startAfter?: string
  /** One iteration. One that fails is counted, and the next begins all the same. */
  run(user: User<F, Shared>): Task<unknown>
}

/**
 * What a file of scenarios exports as its default. What takes the set-up's answer is a method, so that a test of any such
 * answer is a `LoadTest`: the engine hands each the answer of its own set-up.
 */
export interface LoadTest<F extends Feeds = Feeds, Shared = unknown> {
  /** What addresses count from that are no full ones. `--url` goes before it. */
  readonly baseUrl?: string
  readonly feeds?: F
  /** What the run has to hold, in the words of k6: `{ http_req_duration: ["p(95)<200"] }`. */
  readonly thresholds?: Readonly<Record<string, ReadonlyArray<string>>>
  /** Done before load begins, once in each thread; nothing of it counts. */
  readonly setUp?: (tools: Tools) => Task<Shared>
  /** Done when all is over. */
  tearDown?(shared: Shared, tools: Tools): Task<unknown>
  readonly scenarios: Readonly<Record<string, Scenario<F, Shared>>>
}

export interface Tools {
  readonly http: Http
}

/**
 * A file of scenarios, with the types of its feeds and of what its set-up answers inferred. At run time it answers what it is
 * given; a file that exports the object as it is, `satisfies LoadTest`, does as well.
 */
export const define = <const F extends Feeds = Readonly<Record<never, FeedSpec>>, Shared = undefined>(
  test: LoadTest<F, Shared>
): LoadTest<F, Shared> => test
