// A `fetch` that takes a permit before it sends and gives it back when the body
// has been read, was given up or has failed.
//
// The body is passed through by hand, a piece for each that is asked for, since
// only so is it known when it ends, and the platform's back-pressure stays.
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Stats } from "../FetchPool.ts"
import * as PoolErrors from "../PoolError.ts"
import type { Settings } from "./options.ts"
import { Permits } from "./permits.ts"

type Fetch = typeof globalThis.fetch

export class FetchLimits {
  private readonly settings: Settings
  private readonly send: Fetch
  private readonly context: Context.Context<never>
  private readonly permits: Permits
  private readonly origins: Map<string, Permits> = new Map()
  private inFlight = 0
  private waiting = 0
  private admitted = 0
  private rejected = 0

  constructor(settings: Settings, send: Fetch, context: Context.Context<never>) {
    this.settings = settings
    this.send = send
    this.context = context
    this.permits = new Permits(settings.maxConnections)
  }

  stats(): Stats {
    const { admitted, inFlight, rejected, waiting } = this
    return { capacity: this.settings.maxConnections, inFlight, waiting, admitted, rejected }
  }

  readonly fetch: Fetch = async (input, init) => {
    const { origin } = new URL(input instanceof Request ? input.url : input)
    const signal = init?.signal ?? undefined
    const call = new Call(origin)
    const release = await this.admit(call, signal)
    const ending = new AbortController()
    const giveUp = (): void => ending.abort(signal?.reason)
    signal?.addEventListener("abort", giveUp, { once: true })
    if (signal?.aborted === true) giveUp()
    let isHeld = true
    const end = (): void => {
      if (!isHeld) return
      isHeld = false
      signal?.removeEventListener("abort", end)
      signal?.removeEventListener("abort", giveUp)
      release()
    }
    signal?.addEventListener("abort", end, { once: true })
    try {
      const { send } = this
      call.phase = "responding"
      const response = await this.inTime(call, ending, send(input, { ...init, signal: ending.signal }))
      call.phase = "receiving"
      if (response.body === null) {
        end()
        return response
      }
      const passed = new Response(this.pass(call, response.body, ending, end), response)
      Object.defineProperty(passed, "url", { value: response.url })
      return passed
    } catch (error) {
      end()
      throw error
    }
  }

  private async admit(call: Call, signal: AbortSignal | undefined): Promise<() => void> {
    const permits = this.permitsOf(call.origin)
    let taken: Array<Permits> = []
    const take = (one: Permits): Effect.Effect<void> => Effect.map(one.take, () => void taken.push(one))
    const giveBack = (): void => {
      for (const one of taken) one.release()
      taken = []
    }
    const waiting = Effect.timeoutOrElse(Effect.forEach(permits, take, { discard: true }), {
      duration: this.settings.poolMillis,
      orElse: () => {
        this.rejected++
        return Effect.fail(call.error(PoolErrors.PoolTimeout))
      }
    })
    this.waiting++
    try {
      await Effect.runPromiseWith(this.context)(waiting, signal === undefined ? undefined : { signal })
      signal?.throwIfAborted()
    } catch (error) {
      giveBack()
      throw error
    } finally {
      this.waiting--
    }
    this.inFlight++
    this.admitted++
    return () => {
      this.inFlight--
      giveBack()
    }
  }

  // The permits of an origin first, so that who waits for them does not hold up others.
  private permitsOf(origin: string): ReadonlyArray<Permits> {
    const { maxConnections, maxConnectionsPerOrigin, maxOrigins } = this.settings
    if (maxConnectionsPerOrigin >= maxConnections) return [this.permits]
    let own = this.origins.get(origin)
    if (own === undefined) {
      // One that is forgotten while it is in use is counted anew, within the limit of all.
      for (const oldest of this.origins.keys()) {
        if (this.origins.size < maxOrigins) break
        this.origins.delete(oldest)
      }
      own = new Permits(maxConnectionsPerOrigin)
      this.origins.set(origin, own)
    }
    return [own, this.permits]
  }

  private inTime<A>(call: Call, ending: AbortController, promise: Promise<A>): Promise<A> {
    const timed = Effect.timeoutOrElse(Effect.tryPromise({ try: () => promise, catch: (error) => error }), {
      duration: this.settings.readMillis,
      orElse: () => {
        const error = call.error(PoolErrors.ReadTimeout)
        ending.abort(error)
        return Effect.fail(error)
      }
    })
    return Effect.runPromiseWith(this.context)(timed)
  }

  private pass(
    call: Call,
    body: ReadableStream<Uint8Array<ArrayBuffer>>,
    ending: AbortController,
    end: () => void
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const reader = body.getReader()
    let received = 0
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          const { done, value } = await this.inTime(call, ending, reader.read())
          if (done) {
            end()
            controller.close()
            return
          }
          received += value.length
          if (received > this.settings.maxResponseSize) throw call.error(PoolErrors.ResponseTooLarge)
          controller.enqueue(value)
        } catch (error) {
          ending.abort(error)
          end()
          controller.error(error)
        }
      },
      cancel: (reason) => {
        ending.abort(reason)
        end()
      }
    })
  }
}

class Call {
  readonly origin: string
  phase: PoolErrors.Phase = "waiting"
  private readonly startedAt = performance.now()

  constructor(origin: string) {
    this.origin = origin
  }

  error(kind: new (facts: PoolErrors.Facts) => PoolErrors.PoolError): PoolErrors.PoolError {
    return new kind({
      origin: this.origin,
      phase: this.phase,
      elapsedMillis: performance.now() - this.startedAt,
      mayHaveReachedServer: this.phase !== "waiting"
    })
  }
}
