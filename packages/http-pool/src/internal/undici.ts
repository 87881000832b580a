// The transport, loaded when a pool is made and not before: browsers and workers
// can import the package without it.
//
// The path is not bare on purpose. Bun answers `import "undici"` with a stand-in
// of its own that has no `dispatch`; a path inside the package gets the real one.
//
// The types here are the part of undici that is used, so that none of its types
// shows in the package's own.

import type { Socket } from "node:net"
import * as Effect from "effect/Effect"

export type ResponseHeaders = Record<string, string | Array<string> | undefined>

export interface Controller {
  pause(): void
  resume(): void
  abort(reason: Error): void
}

export interface Handler {
  onRequestStart(controller: Controller): void
  onBodySent(): void
  onRequestSent(): void
  onResponseStart(controller: Controller, status: number, headers: ResponseHeaders): void
  onResponseData(controller: Controller, chunk: Uint8Array): void
  onResponseEnd(): void
  onResponseError(controller: Controller | undefined, error: Error): void
}

export interface DispatchOptions {
  readonly path: string
  readonly method: string
  readonly headers?: unknown
  readonly body?: unknown
  readonly blocking?: boolean
}

export type Connected = (...result: [error: null, socket: Socket] | [error: Error, socket: null]) => void

export interface ClientOptions {
  readonly pipelining: number
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly keepAliveTimeout: number
  readonly keepAliveMaxTimeout: number
  readonly allowH2: boolean
  readonly connect: (target: unknown, connected: Connected) => void
}

export interface Client {
  dispatch(options: DispatchOptions, handler: Handler): boolean
  destroy(error: Error | null, callback: () => void): void
  on(event: "disconnect", listener: (origin: URL, targets: ReadonlyArray<unknown>, error: Error) => void): this
}

export interface Undici {
  readonly Client: new (origin: string, options: ClientOptions) => Client
}

export const load: Effect.Effect<Undici> = Effect.promise(() => import("undici/index.js"))
