/**
 * Creates many objects at once and accounts for every one of them.
 *
 * Each item has an idempotency key of its own, so that a create that may or may
 * not have been executed can be sent again and is executed once. Nothing that
 * was created is ever lost to an error: a failure is a result like any other.
 *
 * @module
 */
import { Clock, Effect, type Schema, Stream } from "effect"
import { type CallError, type InputFailed, type InvalidConfiguration, InvalidItems, type ItemIssue } from "./Errors.ts"
import * as Run from "./internal/run.ts"

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
  /** Called after each item. One that throws is called no more; the operation goes on. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Once aborted, nothing more is sent, repeats included; what is in flight ends, and the report is complete. */
  readonly signal?: AbortSignal | undefined
  /**
   * A file that remembers what was created. Run again with the same items and the same file, the operation goes on
   * where it ended, whether it was stopped or killed.
   */
  readonly checkpoint?: string | undefined
  /** Whether, if any item fails, those created in this run are deleted again. Default false. */
  readonly undoOnFailure?: boolean | undefined
}

/** Why items were left that nobody attempted. */
export type StopReason =
  /** An item failed, and `onFailure` is `stop`. */
  | "failure"
  /** The signal was aborted. */
  | "signal"
  /** The checkpoint could not be written any more. */
  | "checkpoint"

/** What became of the objects that were to be deleted again. */
export interface Undone {
  readonly deleted: number
  /** Those that still stand, or that somebody else had deleted. */
  readonly failedIds: ReadonlyArray<string>
}

/** What a bulk operation did, item by item in the order of the input. */
export interface BulkReport<A> {
  readonly results: ReadonlyArray<ItemResult<A>>
  readonly created: number
  readonly restored: number
  readonly failed: number
  readonly notAttempted: number
  readonly stoppedBy: StopReason | undefined
  readonly durationMillis: number
  /** Present where `undoOnFailure` undid something. */
  readonly undone: Undone | undefined
}

/** What ends a stream of results early, once all that was in flight has its result. */
export type StreamError = InvalidConfiguration | InputFailed

/** How one item is created. `attempted` is called before each request; once `signal` is aborted no further one is sent. */
export type Create<I, A> = (
  item: I,
  how: {
    readonly idempotencyKey: string
    readonly isolated: boolean
    readonly attempted: () => void
    readonly signal: AbortSignal | undefined
  }
) => Effect.Effect<A, CallError>

export interface BulkTarget<I, A> {
  /** What is created and where, by which a checkpoint knows that it is its own. */
  readonly name: string
  readonly item: Schema.Codec<I, unknown>
  readonly value: Schema.Codec<A, unknown>
  readonly create: Create<I, A>
  readonly defaults: { readonly maxConcurrent: number; readonly isolated: boolean }
}

/** Why an item cannot be sent; `undefined` where it can. */
const issueOf = (validate: (item: unknown) => string | undefined, item: unknown): string | undefined => {
  const issue = validate(item)
  if (issue !== undefined) return issue
  try {
    JSON.stringify(item)
    return undefined
  } catch (cause) {
    return String(cause)
  }
}

/** Checks every item and reports every one that is wrong. */
export const validateAll = <I>(
  item: Schema.Codec<I, unknown>,
  items: ReadonlyArray<I>
): Effect.Effect<void, InvalidItems> =>
  Effect.suspend(() => {
    const validate = Run.validator(item)
    const issues = items.flatMap((value, index): ReadonlyArray<ItemIssue> => {
      const message = issueOf(validate, value)
      return message === undefined ? [] : [{ index, message }]
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
): Stream.Stream<ItemResult<A>, StreamError> =>
  Stream.unwrap(Effect.map(Run.start(target, items, options), (run) => run.results))

/** As {@link stream}, with how far the operation has come beside each result. */
export const progress = <I, A>(
  target: BulkTarget<I, A>,
  items: Iterable<I> | AsyncIterable<I>,
  options: BulkOptions = {}
): Stream.Stream<Progress & { readonly result: ItemResult<A> }, StreamError> =>
  Stream.unwrap(
    Effect.map(Run.start(target, items, options), (run) =>
      Stream.map(run.results, (result) => ({ ...run.progress(), result }))
    )
  )

/** What an operation created, and did not find created. */
export const createdBy = <A>(report: Pick<BulkReport<A>, "results">): ReadonlyArray<A> =>
  report.results.flatMap(({ status, value }) => (status === "created" && value !== undefined ? [value] : []))

/**
 * Creates all items: looks at every one before it sends any, then reports on each.
 *
 * Fails only where nothing was sent: an item is not valid (all of them are named), or an option is.
 */
export const create = <I, A extends object>(
  target: BulkTarget<I, A>,
  items: ReadonlyArray<I>,
  options: BulkOptions,
  undo: (values: ReadonlyArray<A>) => Effect.Effect<Undone>
): Effect.Effect<BulkReport<A>, InvalidItems | InvalidConfiguration> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* validateAll(target.item, items)
      const startedAt = yield* Clock.currentTimeMillis
      const run = yield* Run.start(target, items, options)
      yield* run.recallAll(items)
      // An array neither breaks off nor differs from a checkpoint that was just compared with it.
      const ended = yield* Effect.orDie(Stream.runCollect(run.results))
      const results = ended.toSorted((a, b) => a.index - b.index)
      const count = (status: ItemResult<A>["status"]): number =>
        results.filter((result) => result.status === status).length
      const failed = count("failed")
      const undone = failed > 0 && options.undoOnFailure === true ? yield* undo(createdBy({ results })) : undefined
      return {
        results,
        created: count("created"),
        restored: count("restored"),
        failed,
        notAttempted: count("notAttempted"),
        stoppedBy: run.stoppedBy(),
        durationMillis: (yield* Clock.currentTimeMillis) - startedAt,
        undone
      }
    })
  )
