/**
 * Bulk work: many items through a function, some at a time, in bounded memory.
 *
 * @module
 */
import { type Abortable, forget, onAbort } from "./internal/abort.ts"

/** What is told to the function about the call that it is. */
export interface MapContext {
  /** The place of the item in the source, from 0. */
  readonly index: number
  /** Aborts when the result can no longer matter: the loop was left, another call failed, or the caller gave up. */
  readonly signal: AbortSignal
}

export interface MapOptions {
  /** Calls at once: a whole number, 1 or more. */
  readonly concurrency: number
  /** Whether results come in the order of the items (the default), or as they are done. */
  readonly ordered?: boolean | undefined
  /** Results that may be done and not yet taken. Default: as many as `concurrency`. */
  readonly buffer?: number | undefined
  /** Ends everything; the loop throws the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

const isThenable = <A>(value: A | PromiseLike<A>): value is PromiseLike<A> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

const iteratorOf = <A>(items: Iterable<A> | AsyncIterable<A>): Iterator<A> | AsyncIterator<A> =>
  Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()

/** What runs of a bulk, between the source and the loop that takes the results. */
class Mapping<A, B> implements Abortable {
  readonly ordered: boolean
  private readonly source: Iterator<A> | AsyncIterator<A>
  private readonly f: (item: A, context: MapContext) => B | PromiseLike<B>
  private readonly concurrency: number
  private readonly window: number
  private readonly controller = new AbortController()
  /** Results that were not taken: by their place where they are ordered, else by when they came. */
  private readonly done: Map<number, B> = new Map()
  private arrivals = 0
  private started = 0
  private taken = 0
  private running = 0
  private isPulling = false
  private isExhausted = false
  private hasEnded = false
  private failure: { readonly error: unknown } | undefined
  private wake: () => void = () => {}

  constructor(
    items: Iterable<A> | AsyncIterable<A>,
    f: (item: A, context: MapContext) => B | PromiseLike<B>,
    { buffer, concurrency, ordered = true }: MapOptions
  ) {
    this.source = iteratorOf(items)
    this.f = f
    this.ordered = ordered
    this.concurrency = concurrency
    this.window = concurrency + (buffer ?? concurrency)
  }

  abort(reason: unknown): void {
    this.fail(reason)
  }

  /** The next result, once there is one; `undefined` once all were taken. Throws what has failed. */
  async next(): Promise<{ readonly value: B } | undefined> {
    while (true) {
      if (this.failure !== undefined) throw this.failure.error
      this.fill()
      if (this.done.has(this.taken)) return { value: this.take() }
      if (this.failure === undefined && this.isExhausted && this.running === 0) return undefined
      if (this.failure === undefined) await this.change()
    }
  }

  /** Stops what runs and waits until it has: nothing goes on behind the back of whoever has left the loop. */
  async end(): Promise<void> {
    this.hasEnded = true
    if (this.running > 0) this.controller.abort()
    this.done.clear()
    const closing = this.isExhausted ? undefined : this.source.return?.()
    // A source that is being asked for an item cannot be waited for: it may never answer.
    if (this.isPulling) void Promise.resolve(closing).catch(() => {})
    else await closing
    while (this.running > 0) await this.change()
  }

  private take(): B {
    const value = this.done.get(this.taken)
    this.done.delete(this.taken++)
    this.fill()
    // `next` has looked for it.
    return value as B
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve
    })
  }

  private fail(error: unknown): void {
    if (this.failure === undefined) {
      this.failure = { error }
      this.controller.abort(error)
    }
    this.wake()
  }

  /** Starts what may start: no more at once than `concurrency`, and no more untaken than the window holds. */
  private fill(): void {
    while (
      !this.isPulling &&
      !this.isExhausted &&
      !this.hasEnded &&
      this.failure === undefined &&
      this.running < this.concurrency &&
      this.started - this.taken < this.window
    ) {
      try {
        const next = this.source.next()
        if (!isThenable(next)) {
          this.accept(next)
          continue
        }
        this.isPulling = true
        next.then(
          (result) => {
            this.isPulling = false
            if (this.hasEnded) return
            this.accept(result)
            this.fill()
          },
          (error) => {
            this.isPulling = false
            this.isExhausted = true
            this.fail(error)
          }
        )
      } catch (error) {
        this.isExhausted = true
        this.fail(error)
      }
    }
  }

  private accept(result: IteratorResult<A>): void {
    if (result.done === true) {
      this.isExhausted = true
      this.wake()
    } else void this.call(result.value, this.started++)
  }

  private async call(item: A, index: number): Promise<void> {
    this.running++
    try {
      const value = await this.f(item, { index, signal: this.controller.signal })
      if (!this.hasEnded) this.done.set(this.ordered ? index : this.arrivals++, value)
    } catch (error) {
      this.fail(error)
    }
    this.running--
    this.fill()
    this.wake()
  }
}

const check = ({ buffer, concurrency }: MapOptions): void => {
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new RangeError(`Cannot map with concurrency ${concurrency}: a whole number, 1 or more, is needed`)
  }
  if (buffer !== undefined && (!Number.isSafeInteger(buffer) || buffer < 0)) {
    throw new RangeError(`Cannot map with buffer ${buffer}: a whole number, 0 or more, is needed`)
  }
}

/**
 * Calls a function for each item, some at a time, and yields the results.
 *
 * **Details**
 *
 * Nothing starts before the first result is asked for. From then on at most `concurrency` calls run, and at most
 * `concurrency + buffer` items are between the source and the loop: a loop that is slow stops the source from being read.
 * With `ordered`, the slowest call holds the results of faster ones back, and those count. The first failure is thrown at
 * the next turn of the loop, and no further call starts.
 *
 * Whoever leaves the loop, by `break`, by an error or by the signal, leaves nothing behind: the calls that run see their
 * signal abort, and the loop ends when they have. The source is closed too.
 *
 * **Gotchas**
 *
 * A call that neither ends nor heeds its signal keeps the loop from ending. Throws a `RangeError` at once if an option is
 * out of range.
 *
 * @example
 * ```ts
 * import { map } from "@sluice/promise"
 *
 * const pages = map([3, 1, 2], async (page) => `page ${page}`, { concurrency: 2 })
 * for await (const text of pages) console.log(text)
 * // => page 3
 * // => page 1
 * // => page 2
 * ```
 */
export const map = <A, B>(
  items: Iterable<A> | AsyncIterable<A>,
  f: (item: A, context: MapContext) => B | PromiseLike<B>,
  options: MapOptions
): AsyncGenerator<B, void, undefined> => {
  check(options)
  return results(items, f, options)
}

async function* results<A, B>(
  items: Iterable<A> | AsyncIterable<A>,
  f: (item: A, context: MapContext) => B | PromiseLike<B>,
  options: MapOptions
): AsyncGenerator<B, void, undefined> {
  const { signal } = options
  signal?.throwIfAborted()
  const mapping = new Mapping(items, f, options)
  if (signal !== undefined) onAbort(signal, mapping)
  try {
    for (let next = await mapping.next(); next !== undefined; next = await mapping.next()) yield next.value
  } finally {
    if (signal !== undefined) forget(signal, mapping)
    await mapping.end()
  }
}

/**
 * Calls a function for each item, some at a time, for what it does. As {@link map} in all else.
 *
 * @example
 * ```ts
 * import { forEach } from "@sluice/promise"
 *
 * let sum = 0
 * await forEach([1, 2, 3], async (n) => void (sum += n), { concurrency: 2 })
 * console.log(sum) // => 6
 * ```
 */
export const forEach = async <A>(
  items: Iterable<A> | AsyncIterable<A>,
  f: (item: A, context: MapContext) => unknown,
  options: Omit<MapOptions, "ordered" | "buffer">
): Promise<void> => {
  const done = map(items, async (item, context) => void (await f(item, context)), { ...options, ordered: false })
  while ((await done.next()).done !== true);
}
