/**
 * Bounds how much runs at once.
 *
 * @module
 */
import { PermitQueue, PriorityQueue, type PrioritySnapshot, tryTake } from "@sluice/semaphore/queues"
import { makePermit, type Permit } from "./internal/permit.ts"
import { enter, hold, type Refusal } from "./internal/turnstile.ts"

export type { Permit } from "./internal/permit.ts"

/** What a semaphore is doing right now. Reading it has no side effects. */
export interface SemaphoreStats {
  /** Permits that exist. */
  readonly capacity: number
  /** Permits that are held. More than `capacity` only while a shrink drains. */
  readonly held: number
  /** Permits that are free. Zero while a shrink drains. */
  readonly available: number
  /** Those who wait. */
  readonly waiting: number
  /** Requests that were given their permits. */
  readonly admitted: number
  /** Requests that were refused because the permits were not free at once. */
  readonly rejected: number
}

/** The semaphore was closed before the permits were taken. Nothing was run. */
export class SemaphoreClosed extends Error {
  override readonly name: string = "SemaphoreClosed"
  /** Permits that there were. */
  readonly capacity: number

  constructor(capacity: number) {
    super("The semaphore is closed: it gives out no more permits")
    this.capacity = capacity
  }
}

export interface SemaphoreOptions {
  /**
   * Who is served first: the one that waits for the longest (`"fifo"`) or for the shortest (`"lifo"`). Default `"fifo"`.
   * The latter belongs around work whose callers give up; where everything must be done in the end it starves what came
   * first.
   */
  readonly order?: "fifo" | "lifo" | undefined
}

/** What a request for permits takes. */
export interface AcquireOptions {
  /** Default 1. */
  readonly permits?: number | undefined
  /** Leaves the line, in O(1) and with nothing taken; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Permits that are taken and given back.
 *
 * **Details**
 *
 * First come, first served, whatever the weight: while the one that has waited for longest cannot be served, nobody
 * behind it is. Whoever releases hands its permits over, so that nobody who comes in between can take them. Every operation
 * costs O(1), however many wait.
 *
 * **Gotchas**
 *
 * Asking for more permits than there have ever been is rejected with a `RangeError`: it could never be served. The line
 * has no bound: see `createBulkhead`.
 */
export interface Semaphore extends AsyncDisposable {
  /**
   * Runs a function holding permits, which are given back however it ends. One that need not wait is called at once. What
   * is aborted while it waits is never called; what runs is not stopped: pass the signal on to it.
   */
  run<A>(f: () => A | PromiseLike<A>, options?: AcquireOptions): Promise<A>
  /** Takes permits, to be held with `using permit = await semaphore.acquire()`. */
  acquire(options?: AcquireOptions): Promise<Permit>
  /** Takes permits if they are free at once. */
  tryAcquire(permits?: number): Permit | undefined
  /** Takes permits without an object that stands for them; whoever takes must `release` as many. */
  take(permits?: number, signal?: AbortSignal): Promise<void>
  /** Gives back what was taken with {@link Semaphore.take}. Throws a `RangeError` for more than are held. */
  release(permits?: number): void
  /** Changes how many permits exist. Growing admits waiters at once; shrinking lets holders finish. */
  resize(permits: number): void
  /** Resolves once no permit is held and nobody waits for one. */
  idle(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>
  /** Gives out no more permits: who waits and who comes is rejected with {@link SemaphoreClosed}. Holders finish. */
  close(): void
  /** What the semaphore is doing right now. */
  stats(): SemaphoreStats
  /** Closes, and waits for the holders to finish: `await using semaphore = createSemaphore(5)`. */
  [Symbol.asyncDispose](): Promise<void>
}

const idleOf = (queue: PermitQueue<Refusal>, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const stop = (): void => {
      forget()
      reject(signal?.reason)
    }
    signal?.addEventListener("abort", stop, { once: true })
    const forget = queue.onIdle(() => {
      signal?.removeEventListener("abort", stop)
      resolve()
    })
  })

/**
 * Makes a semaphore. Throws a `RangeError` unless `permits` is a whole number, 0 or more.
 *
 * @example
 * ```ts
 * import { createSemaphore } from "@sluice/promise"
 *
 * const semaphore = createSemaphore(2)
 * let running = 0
 * let most = 0
 *
 * await Promise.all(
 *   Array.from({ length: 10 }, () =>
 *     semaphore.run(async () => {
 *       most = Math.max(most, ++running)
 *       await null
 *       running--
 *     })
 *   )
 * )
 * console.log(most) // => 2
 * ```
 */
export const createSemaphore = (permits: number, options: SemaphoreOptions = {}): Semaphore => {
  const queue = new PermitQueue<Refusal>(permits, options.order === "lifo")
  let rejected = 0
  const giveBack = (taken: number): void => queue.release(taken)
  const close = (): void => queue.close(() => new SemaphoreClosed(queue.capacity))
  return {
    run: (f, { permits = 1, signal } = {}) => hold(queue, permits, f, signal),
    acquire: async ({ permits = 1, signal } = {}) => {
      const entering = enter(queue, permits, signal)
      if (entering !== undefined) await entering
      return makePermit(permits, giveBack)
    },
    tryAcquire: (permits = 1) => {
      if (tryTake(queue, permits)) return makePermit(permits, giveBack)
      rejected++
      return undefined
    },
    take: (permits = 1, signal) => {
      try {
        return enter(queue, permits, signal) ?? resolved
      } catch (error) {
        return Promise.reject(error)
      }
    },
    release: (permits = 1) => void queue.giveBack(permits),
    resize: (permits) => queue.resize(permits),
    idle: ({ signal } = {}) => idleOf(queue, signal),
    close,
    stats: () => ({ ...queue.snapshot(), rejected }),
    [Symbol.asyncDispose]: () => {
      close()
      return idleOf(queue, undefined)
    }
  }
}

// Nobody can tell one promise of nothing from another.
const resolved: Promise<void> = Promise.resolve()

export interface PrioritySemaphoreOptions {
  /** Permits that exist: a whole number, 0 or more. */
  readonly permits: number
  /** How many classes there are, of which 0 is the first; 1 to 16. Default 3. */
  readonly classes?: number | undefined
  /** How many of those that come later a class may let go before it, for each class above it. Default 16. */
  readonly ageing?: number | undefined
}

export interface PriorityAcquireOptions extends AcquireOptions {
  /** The class, 0 being the first. Default 0. */
  readonly priority?: number | undefined
}

/** What a priority semaphore is doing right now. */
export interface PrioritySemaphoreStats extends SemaphoreStats {
  /** Those who wait, by class. */
  readonly waitingByClass: ReadonlyArray<number>
}

/**
 * Permits that go to the most urgent first, and to nobody never: who waits in class `c` is overtaken by at most
 * `c · ageing` of those that come later.
 */
export interface PrioritySemaphore {
  /** Runs a function holding permits, which are given back however it ends. */
  run<A>(f: () => A | PromiseLike<A>, options?: PriorityAcquireOptions): Promise<A>
  /** Takes permits, to be held with `using`. */
  acquire(options?: PriorityAcquireOptions): Promise<Permit>
  /** Takes permits if they are free at once and nobody waits. */
  tryAcquire(permits?: number): Permit | undefined
  /** Changes how many permits exist. Growing admits waiters at once; shrinking lets holders finish. */
  resize(permits: number): void
  /** What the semaphore is doing right now. */
  stats(): PrioritySemaphoreStats
}

/**
 * Makes a priority semaphore. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { createPrioritySemaphore } from "@sluice/promise"
 *
 * const semaphore = createPrioritySemaphore({ permits: 1, classes: 2 })
 * const served: Array<string> = []
 * const permit = await semaphore.acquire()
 * const batch = semaphore.run(() => served.push("batch"), { priority: 1 })
 * const person = semaphore.run(() => served.push("person"), { priority: 0 })
 * permit.release()
 * await Promise.all([batch, person])
 * console.log(served.join(", ")) // => person, batch
 * ```
 */
export const createPrioritySemaphore = ({
  ageing = 16,
  classes = 3,
  permits
}: PrioritySemaphoreOptions): PrioritySemaphore => {
  const queue = new PriorityQueue(permits, classes, ageing)
  let rejected = 0
  const giveBack = (taken: number): void => queue.release(taken)
  return {
    run: async (f, { permits = 1, priority = 0, signal } = {}) => hold(queue.gate(priority), permits, f, signal),
    acquire: async ({ permits = 1, priority = 0, signal } = {}) => {
      const entering = enter(queue.gate(priority), permits, signal)
      if (entering !== undefined) await entering
      return makePermit(permits, giveBack)
    },
    tryAcquire: (permits = 1) => {
      if (tryTake(queue.gate(0), permits)) return makePermit(permits, giveBack)
      rejected++
      return undefined
    },
    resize: (permits) => queue.resize(permits),
    stats: (): PrioritySemaphoreStats & PrioritySnapshot => ({ ...queue.snapshot(), rejected })
  }
}
