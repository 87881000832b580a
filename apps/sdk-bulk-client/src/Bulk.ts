/**
 * Creates many objects at once and accounts for every one of them.
 *
 * Each item has an idempotency key of its own, so that a create that may or may
 * not have been executed can be sent again and is executed once. Nothing that
 * was created is ever lost to an error: a failure is a result like any other.
 *
 * @module
 */
import { Clock, Deferred, Effect, Schema, Stream } from "effect"
import { type CallError, InvalidConfiguration, InvalidItems, type ItemIssue } from "./Errors.ts"
import * as Checkpoint from "./internal/checkpoint.ts"

/** What happened to one item. */
export interface ItemResult<A> {
  /** Position in the input, from 0. */
  readonly index: number
  /**
   * - `created`: now
   * - `restored`: in an earlier run that the checkpoint remembers
   * - `failed`: see `error`
   * - `notAttempted`: never sent, because the operation was stopped before
   */
  readonly status: "created" | "restored" | "failed" | "notAttempted"
  readonly value: A | undefined
  readonly error: CallError | InvalidItems | undefined
  /** Requests that were sent for it. */
  readonly attempts: number
  readonly durationMillis: number
}

/** How far a bulk operation has come. */
export interface Progress {
  readonly done: number
  /** Absent where the input is an `AsyncIterable` that has not ended. */
  readonly total: number | undefined
  readonly created: number
  readonly failed: number
}

export interface BulkOptions {
  /** `parallel`: more than one item at a time. Default true. */
  readonly parallel?: boolean | undefined
  /** `max_workers`: default the smaller of 16 and the number of items. The smaller of this and `maxConcurrent` holds. */
  readonly maxWorkers?: number | undefined
  /** `max_concurrent`: items in flight. Default the client's, which is 8. */
  readonly maxConcurrent?: number | undefined
  /** `use_connection_isolation`: a fresh connection for each item. Default the client's, which is true. */
  readonly useConnectionIsolation?: boolean | undefined
  /**
   * Whether item 0 is created before any other is sent. Default true: the first write to a new project makes its
   * collection, and the API refuses the ones that come in between.
   */
  readonly firstAlone?: boolean | undefined
  /** What a failed item does to the ones not sent yet. Default `continue`. Those in flight always end. */
  readonly onFailure?: "continue" | "stop" | undefined
  /** Called after each item. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Once aborted, nothing more is sent; what is in flight ends, and the report is complete. */
  readonly signal?: AbortSignal | undefined
  /**
   * A file that remembers what was created. Run again with the same items and the same file, the operation goes on
   * where it ended, whether it was stopped or killed.
   */
  readonly checkpoint?: string | undefined
  /** Whether, if any item fails, those created in this run are deleted again. Default false. */
  readonly undoOnFailure?: boolean | undefined
}

/** What a bulk operation did, item by item in the order of the input. */
export interface BulkReport<A> {
  readonly results: ReadonlyArray<ItemResult<A>>
  readonly created: number
  readonly restored: number
  readonly failed: number
  readonly notAttempted: number
  readonly durationMillis: number
  /** Ids deleted again by `undoOnFailure`, and those that could not be. */
  readonly undone: { readonly deleted: number; readonly failedIds: ReadonlyArray<string> } | undefined
}

/** How one item is created. `attempted` is called before each request. */
export type Create<I, A> = (
  item: I,
  how: { readonly idempotencyKey: string; readonly isolated: boolean; readonly attempted: () => void }
) => Effect.Effect<A, CallError>

export interface BulkTarget<I, A> {
  readonly item: Schema.Codec<I, unknown>
  readonly value: Schema.Codec<A, unknown>
  readonly create: Create<I, A>
  readonly defaults: { readonly maxConcurrent: number; readonly isolated: boolean }
}

const positive = (field: string, value: number | undefined) =>
  value === undefined || (Number.isInteger(value) && value >= 1)
    ? Effect.void
    : Effect.fail(new InvalidConfiguration({ field, value, allowed: "a whole number, 1 or more" }))

/** Items in flight. */
const concurrency = (options: BulkOptions, defaultConcurrent: number, items: number | undefined): number =>
  options.parallel === false
    ? 1
    : Math.min(options.maxWorkers ?? Math.min(16, items ?? 16), options.maxConcurrent ?? defaultConcurrent)

/** Checks every item and reports every one that is wrong. */
export const validateAll = <I>(
  item: Schema.Codec<I, unknown>,
  items: ReadonlyArray<I>
): Effect.Effect<void, InvalidItems> =>
  Effect.suspend(() => {
    const validate = Schema.decodeUnknownResult(Schema.toType(item))
    const issues: Array<ItemIssue> = []
    items.forEach((value, index) => {
      const result = validate(value)
      if (result._tag === "Failure")
        issues.push({ index, message: result.failure.message.replaceAll(/\s*\n\s*/g, " ") })
    })
    return issues.length === 0 ? Effect.void : Effect.fail(new InvalidItems({ issues }))
  })

/**
 * Creates items as they come and tells of each as it ends; `index` says which it was. Memory does not grow with the
 * input: only the items in flight are held.
 *
 * An item that is not valid becomes a failed result; `bulkCreate` is the one that looks at all before it sends any.
 */
export const stream = <I, A>(
  target: BulkTarget<I, A>,
  items: Iterable<I> | AsyncIterable<I>,
  options: BulkOptions = {}
): Stream.Stream<ItemResult<A>, InvalidConfiguration> =>
  Stream.unwrap(
    Effect.gen(function* () {
      yield* positive("maxWorkers", options.maxWorkers)
      yield* positive("maxConcurrent", options.maxConcurrent)
      const total = Array.isArray(items) ? items.length : undefined
      const isolated = options.useConnectionIsolation ?? target.defaults.isolated
      const validate = Schema.decodeUnknownResult(Schema.toType(target.item))
      const checkpoint = yield* Checkpoint.open(options.checkpoint, target.value)
      const first = yield* Deferred.make<void>()
      if (options.firstAlone === false) yield* Deferred.succeed(first, undefined)
      let stopped = false
      const isStopped = (): boolean => stopped || options.signal?.aborted === true

      const settle = (index: number, result: Omit<ItemResult<A>, "index">): ItemResult<A> => {
        if (result.status === "failed" && options.onFailure === "stop") stopped = true
        return { index, ...result }
      }

      const attempt = (item: I, index: number): Effect.Effect<ItemResult<A>> =>
        Effect.gen(function* () {
          const start = yield* Clock.currentTimeMillis
          let attempts = 0
          const created = yield* Effect.result(
            target.create(item, {
              idempotencyKey: checkpoint.keyOf(index),
              isolated,
              attempted: () => {
                attempts++
              }
            })
          )
          const durationMillis = (yield* Clock.currentTimeMillis) - start
          if (created._tag === "Failure") {
            return settle(index, {
              status: "failed",
              value: undefined,
              error: created.failure,
              attempts,
              durationMillis
            })
          }
          checkpoint.remember(index, item, created.success)
          return settle(index, {
            status: "created",
            value: created.success,
            error: undefined,
            attempts,
            durationMillis
          })
        })

      const unsent = { value: undefined, error: undefined, attempts: 0, durationMillis: 0 } as const

      const one = (item: I, index: number): Effect.Effect<ItemResult<A>, InvalidConfiguration> =>
        Effect.gen(function* () {
          const remembered = yield* checkpoint.recall(index, item)
          if (remembered !== undefined) return settle(index, { ...unsent, status: "restored", value: remembered.value })
          if (index > 0) yield* Deferred.await(first)
          if (isStopped()) return settle(index, { ...unsent, status: "notAttempted" })
          const valid = validate(item)
          if (valid._tag === "Failure") {
            const error = new InvalidItems({ issues: [{ index, message: valid.failure.message }] })
            return settle(index, { ...unsent, status: "failed", error })
          }
          return yield* attempt(item, index)
        }).pipe(index === 0 ? Effect.ensuring(Deferred.succeed(first, undefined)) : (self) => self)

      const source: Stream.Stream<I> =
        Symbol.asyncIterator in items
          ? // An input without an end must not be read to its end once nothing more is sent.
            Stream.fromAsyncIterable(items, (cause) => cause).pipe(
              Stream.orDie,
              Stream.takeWhile(() => !isStopped())
            )
          : Stream.fromIterable(items)

      const progress = { done: 0, created: 0, failed: 0 }
      return source.pipe(
        Stream.zipWithIndex,
        // In order, a slow item would hold back those behind it once the window in front of it is full.
        Stream.mapEffect(([item, index]) => one(item, index), {
          concurrency: concurrency(options, target.defaults.maxConcurrent, total),
          unordered: true
        }),
        Stream.tap((result) =>
          Effect.sync(() => {
            progress.done++
            if (result.status === "created" || result.status === "restored") progress.created++
            if (result.status === "failed") progress.failed++
            options.onProgress?.({ ...progress, total })
          })
        ),
        Stream.ensuring(Effect.sync(() => checkpoint.close()))
      )
    })
  )

/**
 * Creates all items: looks at every one before it sends any, then reports on each.
 *
 * Fails only where nothing was sent: an item is not valid (all of them are named), or an option is.
 */
export const create = <I, A extends object>(
  target: BulkTarget<I, A>,
  items: ReadonlyArray<I>,
  options: BulkOptions,
  undo: (
    values: ReadonlyArray<A>
  ) => Effect.Effect<{ readonly deleted: number; readonly failedIds: ReadonlyArray<string> }>
): Effect.Effect<BulkReport<A>, InvalidItems | InvalidConfiguration> =>
  Effect.gen(function* () {
    yield* validateAll(target.item, items)
    const start = yield* Clock.currentTimeMillis
    const ended = yield* Stream.runCollect(stream(target, items, options))
    const results = ended.toSorted((a, b) => a.index - b.index)
    const count = (status: ItemResult<A>["status"]): number =>
      results.filter((result) => result.status === status).length
    const failed = count("failed")
    const values = results.flatMap((result) =>
      result.status === "created" && result.value !== undefined ? [result.value] : []
    )
    const undone = failed > 0 && options.undoOnFailure === true ? yield* undo(values) : undefined
    return {
      results,
      created: count("created"),
      restored: count("restored"),
      failed,
      notAttempted: count("notAttempted"),
      durationMillis: (yield* Clock.currentTimeMillis) - start,
      undone
    }
  })
