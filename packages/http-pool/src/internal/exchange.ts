// One request on its way, and its response.
//
// The transport calls the `on…` methods from inside its parser, where neither
// another request may be dispatched nor a paused parser resumed. So they only
// note what has happened, and one microtask, after the parser has returned, acts
// on all of it: it gives back the connection and the permit, then resumes the
// fiber that waits. A small response comes whole in one such turn, and its fiber
// is suspended once.
//
// The body is kept in chunks as they come. Past `highWaterMark` unread bytes the
// socket is paused, unless the reader wants all of it. A body that is complete
// holds no connection, read or not.
import * as Effect from "effect/Effect"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import type { PoolError } from "../PoolError.ts"
import * as PoolErrors from "../PoolError.ts"
import type { Entry } from "./deadlines.ts"
import { fromTransport, toHttpClientError } from "./failure.ts"
import type { Link } from "./link.ts"
import type { Origin, Pool } from "./pool.ts"
import { toResponse } from "./response.ts"
import type { Controller, Handler, ResponseHeaders } from "./undici.ts"

const highWaterMark = 64 * 1024

export class Exchange implements Handler, Entry {
  readonly pool: Pool
  readonly origin: Origin
  readonly request: HttpClientRequest
  readonly path: string
  readonly isIsolated: boolean
  readonly startedAt: number
  /** Answers the request's fiber: the head has come, or nothing will. Unset once it did. */
  resume: ((answer: Effect.Effect<HttpClientResponse, HttpClientError>) => void) | undefined
  /** Ends the wait for permits. */
  stopWaiting: (() => void) | undefined
  /** Stops the production of the request's body. */
  stopBody: (() => void) | undefined

  phase: PoolErrors.Phase = "waiting"
  link: Link | undefined
  controller: Controller | undefined
  /** Set once the permit and the connection are given back. */
  isSettled = false
  replays = 0
  hasReachedWire = false

  status = 0
  rawHeaders: ResponseHeaders = {}
  chunks: Array<Uint8Array> = []
  unread = 0
  received = 0
  hasEnded = false
  failure: HttpClientError | undefined
  /** Resumes the fiber that reads the body. */
  private reader: (() => void) | undefined
  private readsAll = false
  private isPaused = false
  private isScheduled = false

  movedAt = 0
  placedAt = 0
  previous: Entry | undefined
  next: Entry | undefined
  list: Entry["list"]

  constructor(pool: Pool, origin: Origin, request: HttpClientRequest, path: string, isIsolated: boolean) {
    this.pool = pool
    this.origin = origin
    this.request = request
    this.path = path
    this.isIsolated = isIsolated
    this.startedAt = pool.now()
  }

  // --- called by the transport -------------------------------------------

  onRequestStart(controller: Controller): void {
    this.controller = controller
    this.phase = "sending"
    this.hasReachedWire = true
    this.pool.reads.add(this)
  }

  onBodySent(): void {
    this.movedAt = this.pool.now()
  }

  onRequestSent(): void {
    if (this.phase === "sending") this.phase = "responding"
  }

  onResponseStart(_controller: Controller, status: number, headers: ResponseHeaders): void {
    this.movedAt = this.pool.now()
    if (status < 200) return
    this.phase = "receiving"
    if (this.pool.settings.bodyMillis !== this.pool.settings.readMillis) {
      this.list?.remove(this)
      this.pool.bodies.add(this)
    }
    this.status = status
    this.rawHeaders = headers
    this.schedule()
  }

  onResponseData(controller: Controller, chunk: Uint8Array): void {
    this.received += chunk.length
    if (this.received > this.pool.settings.maxResponseSize) {
      this.fail(PoolErrors.ResponseTooLarge, undefined)
      this.schedule()
      return
    }
    this.chunks.push(chunk)
    this.unread += chunk.length
    this.movedAt = this.pool.now()
    if (this.unread > highWaterMark && !this.readsAll) {
      this.isPaused = true
      controller.pause()
    }
    if (this.reader !== undefined && !this.readsAll) this.schedule()
  }

  onResponseEnd(): void {
    this.hasEnded = true
    this.schedule()
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    if (this.isSettled || this.failure !== undefined) return
    this.failure = fromTransport(this, error)
    this.schedule()
  }

  // --- called by the read timeout ----------------------------------------

  onDeadline(): void {
    this.abort(this.link === undefined ? PoolErrors.PoolTimeout : PoolErrors.ReadTimeout, "timeout")
  }

  // --- called by fibers ---------------------------------------------------

  /** Ends the request wherever it is. What it held is free when this returns. */
  abort(
    kind: new (facts: PoolErrors.Facts) => PoolError,
    reason: "interrupted" | "timeout" | "failed" | "shutdown",
    cause?: unknown
  ): void {
    if (this.isSettled) return
    this.fail(kind, cause)
    this.pool.settle(this, reason)
    this.wake()
  }

  /** Whether there is something for the reader of the body: bytes, the end, or a failure. */
  isReadable(all: boolean): boolean {
    return this.hasEnded || this.failure !== undefined || (!all && this.chunks.length > 0)
  }

  /** Waits until the body {@link isReadable}. A reader that is interrupted gives up the body. */
  awaitReadable(all: boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.readsAll = all
      if (this.isReadable(all)) return resume(Effect.void)
      const { reader } = this
      this.reader = () => {
        reader?.()
        resume(Effect.void)
      }
      this.resumeSocket()
      return Effect.sync(() => {
        this.reader = undefined
        this.abort(PoolErrors.BodyCancelled, "interrupted")
      })
    })
  }

  /** Whether it holds a connection only for a body that nobody reads. */
  get isAbandoned(): boolean {
    return this.isPaused && this.reader === undefined
  }

  /** All bytes that are there, which are removed. */
  takeChunks(): Array<Uint8Array> {
    const chunks = this.chunks
    this.chunks = []
    this.unread = 0
    return chunks
  }

  fail(kind: new (facts: PoolErrors.Facts) => PoolError, cause: unknown): void {
    this.failure ??= toHttpClientError(this, kind, cause)
  }

  schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    this.pool.schedule(this)
  }

  /** Acts on what the transport has told. */
  flush(): void {
    this.isScheduled = false
    if (!this.isSettled && (this.hasEnded || this.failure !== undefined)) {
      if (this.failure !== undefined && this.pool.replay(this)) return
      this.pool.settle(this, undefined)
    }
    this.wake()
  }

  private wake(): void {
    const { failure, reader, resume } = this
    if (resume !== undefined) {
      if (this.status !== 0) {
        this.resume = undefined
        resume(Effect.succeed(toResponse(this)))
      } else if (failure !== undefined) {
        this.resume = undefined
        resume(Effect.fail(failure))
      }
    }
    if (reader !== undefined && this.isReadable(this.readsAll)) {
      this.reader = undefined
      reader()
    }
  }

  private resumeSocket(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.movedAt = this.pool.now()
    this.controller?.resume()
  }
}
