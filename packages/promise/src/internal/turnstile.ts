// How promises pass what hands out permits. The queues are those of
// `@sluice/semaphore`, taken as they are, so that order, fairness and conservation
// are the same thing and not a copy of it; what waits in them here is the resolver
// of a promise where there it is a fiber. No effect is built and no fiber started
// for a call: running one costs more than all of this.
//
// What is told that it has its permits runs a turn of the microtask queue later. If
// its signal aborts in between, whoever goes on gives the permits back, and nothing
// is run: `enter` answers a promise that does so by itself.

import { type Permits, quit, type Waiter } from "@sluice/semaphore/queues"
import { type Abortable, forget, onAbort } from "./abort.ts"

/** Makes the error that everybody is turned away with once something is closed: each has a stack of its own. */
export type Refusal = () => Error

/** How long somebody waits at most, and what to say then. */
export interface Bound {
  readonly maxWaitMillis: number
  readonly onTimeout: () => Error
}

/** One that waits for as long as it takes. What waits in thousands is kept small. */
class PromiseWaiter implements Waiter {
  readonly permits: number
  state: Waiter["state"] = "waiting"
  rank = 0
  previous: Waiter | undefined = undefined
  next: Waiter | undefined = undefined
  protected readonly gate: Permits<Refusal>
  private readonly resolve: () => void
  protected readonly reject: (error: unknown) => void

  constructor(gate: Permits<Refusal>, permits: number, resolve: () => void, reject: (error: unknown) => void) {
    this.gate = gate
    this.permits = permits
    this.resolve = resolve
    this.reject = reject
  }

  settled(): void {
    if (this.state === "admitted") this.resolve()
    else this.reject(this.gate.refusal?.())
  }
}

/** One that may give up: by a signal, or when its time is over. */
class LeavingWaiter extends PromiseWaiter implements Abortable {
  private signal: AbortSignal | undefined
  private timer: ReturnType<typeof setTimeout> | undefined

  leaveWith(signal: AbortSignal | undefined, bound: Bound | undefined): void {
    this.signal = signal
    if (signal !== undefined) onAbort(signal, this)
    // Beyond what a timer can count there is no limit that anybody would see.
    if (bound === undefined || bound.maxWaitMillis > 0x7fffffff) return
    this.timer = setTimeout(() => this.abort(bound.onTimeout()), bound.maxWaitMillis)
  }

  override settled(): void {
    this.end()
    super.settled()
  }

  abort(reason: unknown): void {
    this.end()
    quit(this.gate, this)
    this.state = "expired"
    this.reject(reason)
  }

  private end(): void {
    if (this.signal !== undefined) forget(this.signal, this)
    if (this.timer !== undefined) clearTimeout(this.timer)
  }
}

// A function of its own for each promise, to take its resolvers out, would cost a closure for each that waits.
let lastResolve: () => void = () => {}
let lastReject: (error: unknown) => void = () => {}
const takeResolvers = (resolve: () => void, reject: (error: unknown) => void): void => {
  lastResolve = resolve
  lastReject = reject
}

/**
 * Takes permits: at once, and answers nothing, or with a promise of them. Throws what whoever asks is told, if it can be
 * told at once.
 */
export const enter = (
  gate: Permits<Refusal>,
  permits: number,
  signal: AbortSignal | undefined,
  bound?: Bound
): Promise<void> | undefined => {
  gate.check(permits)
  signal?.throwIfAborted()
  if (gate.refusal !== undefined) throw gate.refusal()
  if (gate.isFree(permits)) {
    gate.take(permits)
    return undefined
  }
  const entered = new Promise<void>(takeResolvers)
  if (signal === undefined && bound === undefined) {
    gate.join(new PromiseWaiter(gate, permits, lastResolve, lastReject))
    return entered
  }
  const waiter = new LeavingWaiter(gate, permits, lastResolve, lastReject)
  waiter.leaveWith(signal, bound)
  gate.join(waiter)
  if (signal === undefined) return entered
  return entered.then(() => {
    if (!signal.aborted) return
    gate.release(permits)
    throw signal.reason
  })
}

/** Runs a function holding permits, which are given back however it ends. */
export const hold = async <A>(
  gate: Permits<Refusal>,
  permits: number,
  f: () => A | PromiseLike<A>,
  signal: AbortSignal | undefined,
  bound?: Bound
): Promise<A> => {
  const entering = enter(gate, permits, signal, bound)
  if (entering !== undefined) await entering
  try {
    return await f()
  } finally {
    gate.release(permits)
  }
}
