// One bulk operation as it runs: items in, a result for each out, in the order in
// which they end.
//
// What can go wrong besides an item ends the run and not the items: the input
// breaks off, the checkpoint is another's or cannot be written. Nothing more is
// read or sent then; what is in flight has its result first, and the stream
// fails after the last of them.

import { Clock, Deferred, Effect, Schema, type Scope, Stream } from "effect"
import type { BulkOptions, BulkTarget, ItemResult, Progress, StopReason, StreamError } from "../Bulk.ts"
import { InputFailed, InvalidConfiguration, InvalidItems } from "../Errors.ts"
import * as Checkpoint from "./checkpoint.ts"

export interface Run<I, A> {
  readonly results: Stream.Stream<ItemResult<A>, StreamError>
  readonly progress: () => Progress
  readonly stoppedBy: () => StopReason | undefined
  /** Fails if any item differs from the one that the checkpoint remembers in its place. */
  readonly recallAll: (items: ReadonlyArray<I>) => Effect.Effect<void, InvalidConfiguration>
}

/** Makes what tells why a value does not fit its schema, every reason in one line. */
export const validator = <I>(item: Schema.Codec<I, unknown>): ((value: unknown) => string | undefined) => {
  const validate = Schema.decodeUnknownResult(Schema.toType(item), { errors: "all" })
  return (value) => {
    const result = validate(value)
    return result._tag === "Failure" ? result.failure.message.replaceAll(/\s*\n\s*/g, " ") : undefined
  }
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

async function* asynchronous<I>(items: Iterable<I>): AsyncGenerator<I> {
  yield* items
}

const unsent = { error: undefined, attempts: 0, durationMillis: 0 } as const

const notAttempted = (index: number): ItemResult<never> => ({
  ...unsent,
  index,
  status: "notAttempted",
  value: undefined
})

const restored = <A>(index: number, value: A): ItemResult<A> => ({ ...unsent, index, status: "restored", value })

export const start = <I, A>(
  target: BulkTarget<I, A>,
  items: Iterable<I> | AsyncIterable<I>,
  options: BulkOptions
): Effect.Effect<Run<I, A>, InvalidConfiguration, Scope.Scope> =>
  Effect.gen(function* () {
    yield* positive("maxWorkers", options.maxWorkers)
    yield* positive("maxConcurrent", options.maxConcurrent)
    const checkpoint = yield* Effect.acquireRelease(
      Checkpoint.open(options.checkpoint, target.name, target.value),
      (opened) => Effect.sync(() => opened.close())
    )
    const total = Array.isArray(items) ? items.length : undefined
    const isolated = options.useConnectionIsolation ?? target.defaults.isolated
    const validate = validator(target.item)
    const first = yield* Deferred.make<void>()
    if (options.firstAlone === false) yield* Deferred.succeed(first, undefined)

    let stopped: StopReason | undefined
    let broken: StreamError | undefined
    let read = 0
    const counts = { done: 0, created: 0, failed: 0 }
    const progress = (): Progress => ({ ...counts, total })
    const stoppedBy = (): StopReason | undefined => stopped ?? (options.signal?.aborted === true ? "signal" : undefined)
    const isStopped = (): boolean => broken !== undefined || stoppedBy() !== undefined

    const failed = (
      index: number,
      rest: Pick<ItemResult<A>, "error" | "attempts" | "durationMillis">
    ): ItemResult<A> => {
      if (options.onFailure === "stop") stopped ??= "failure"
      return { index, status: "failed", value: undefined, ...rest }
    }

    const invalid = (index: number, message: string) => new InvalidItems({ issues: [{ index, message }] })

    const attempt = (item: I, index: number): Effect.Effect<ItemResult<A>> =>
      Effect.gen(function* () {
        const startedAt = yield* Clock.currentTimeMillis
        let attempts = 0
        const created = yield* target
          .create(item, {
            idempotencyKey: checkpoint.keyOf(index),
            isolated,
            attempted: () => {
              attempts++
            },
            signal: options.signal
          })
          .pipe(
            // An item that cannot be written as JSON is found out here where it came as a stream.
            Effect.catchDefect((defect) => Effect.fail(invalid(index, String(defect)))),
            Effect.result
          )
        const durationMillis = (yield* Clock.currentTimeMillis) - startedAt
        if (created._tag === "Failure") return failed(index, { error: created.failure, attempts, durationMillis })
        if (!checkpoint.remember(index, item, created.success)) stopped ??= "checkpoint"
        return { index, status: "created", value: created.success, error: undefined, attempts, durationMillis }
      })

    const one = (item: I, index: number): Effect.Effect<ItemResult<A>> =>
      Effect.gen(function* () {
        const remembered = yield* Effect.result(checkpoint.recall(index, item))
        if (remembered._tag === "Failure") {
          broken ??= remembered.failure
          return notAttempted(index)
        }
        if (remembered.success !== undefined) return restored(index, remembered.success.value)
        if (index > 0) yield* Deferred.await(first)
        if (isStopped()) return notAttempted(index)
        const issue = validate(item)
        if (issue !== undefined) return failed(index, { error: invalid(index, issue), attempts: 0, durationMillis: 0 })
        return yield* attempt(item, index)
      }).pipe(index === 0 ? Effect.ensuring(Deferred.succeed(first, undefined)) : (self) => self)

    // What is left of an array when the run stops is reported as not attempted; other input may have no end, and is not
    // read to it.
    const source: Stream.Stream<I> = Array.isArray(items)
      ? Stream.fromIterable(items)
      : Stream.fromAsyncIterable(Symbol.asyncIterator in items ? items : asynchronous(items), (cause) => cause).pipe(
          Stream.catch((cause) => {
            broken ??= new InputFailed({ read, cause })
            return Stream.empty
          }),
          Stream.takeWhile(() => !isStopped())
        )

    let isReporting = options.onProgress !== undefined
    const report = Effect.suspend(() => {
      if (!isReporting) return Effect.void
      return Effect.try({ try: () => options.onProgress?.(progress()), catch: (cause) => cause }).pipe(
        Effect.catch((cause) => {
          isReporting = false
          return Effect.logWarning("onProgress threw, and is called no more", cause)
        })
      )
    })

    const results = source.pipe(
      Stream.map((item) => [item, read++] as const),
      // In order, a slow item would hold back those behind it once the window in front of it is full.
      Stream.mapEffect(([item, index]) => one(item, index), {
        concurrency: concurrency(options, target.defaults.maxConcurrent, total),
        unordered: true
      }),
      Stream.tap(({ status }) => {
        counts.done++
        if (status === "created" || status === "restored") counts.created++
        if (status === "failed") counts.failed++
        return report
      }),
      Stream.concat(Stream.suspend(() => (broken === undefined ? Stream.empty : Stream.fail(broken))))
    )

    return {
      results,
      progress,
      stoppedBy,
      recallAll: (all) => Effect.forEach(all, (item, index) => checkpoint.recall(index, item), { discard: true })
    }
  })
