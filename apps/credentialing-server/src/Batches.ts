/**
 * Credentials many providers with one request. A batch is kept before its first
 * item is worked on and goes on whoever listens; after a crash another process,
 * or this one after its restart, goes on where it was left.
 *
 * @module
 */
import { createHash, randomUUID } from "node:crypto"
import { Clock, Context, Duration, Effect, Layer, Option, Queue, Schedule, Stream } from "effect"
import { Credentialing, KeyInUse } from "./Credentialing.ts"
import { Limits } from "./Limits.ts"
import { type Batch, type Item, Store, type StoreError } from "./Store.ts"
import { Telemetry } from "./Telemetry.ts"

export interface NewBatch {
  /** Without duplicates. */
  readonly providerIds: ReadonlyArray<string>
  readonly actor: string
  /** A batch that is sent again with its key is the first one. */
  readonly idempotencyKey: string | undefined
}

/** What is told of a batch that is watched. */
export type BatchEvent =
  | { readonly type: "item"; readonly item: Item; readonly total: number }
  /** The last: every item has its outcome. */
  | { readonly type: "completed"; readonly batch: Batch }
  /** The last: this server ends, and the batch goes on after that. */
  | { readonly type: "paused"; readonly batch: Batch }

export interface BatchesApi {
  open(batch: NewBatch): Effect.Effect<Batch, StoreError | KeyInUse>
  /** The items that were done after `seq`, in the order in which they were done, as they are done. */
  watch(batchId: string, seq: number): Stream.Stream<BatchEvent, StoreError>
  /** Takes up no more batches that others have left; this server is about to end. */
  readonly drain: Effect.Effect<void>
  /** Ends all watches: whoever waits is told how far the batch has come. */
  readonly pause: Effect.Effect<void>
  /** Batches that this process works on. */
  running(): number
}

export const Batches: Context.Service<BatchesApi, BatchesApi> = Context.Service<BatchesApi>("credentialing/Batches")

export interface Options {
  /** How long a batch is left alone that a process took up and says nothing more of. */
  readonly lease: Duration.Duration
}

/** How soon it is seen that another process has done an item. */
const LOOK = Duration.millis(200)

const fingerprintOf = (providerIds: ReadonlyArray<string>): string =>
  createHash("sha256").update(JSON.stringify(providerIds)).digest("hex")

/** Those who wait for news of a batch. */
class Bells {
  readonly #bells = new Map<string, Set<Queue.Queue<void>>>()

  hang(batchId: string, bell: Queue.Queue<void>): void {
    const bells = this.#bells.get(batchId) ?? new Set()
    this.#bells.set(batchId, bells.add(bell))
  }

  take(batchId: string, bell: Queue.Queue<void>): void {
    const bells = this.#bells.get(batchId)
    bells?.delete(bell)
    if (bells?.size === 0) this.#bells.delete(batchId)
  }

  ring(batchId: string): void {
    for (const bell of this.#bells.get(batchId) ?? []) Queue.offerUnsafe(bell, undefined)
  }

  ringAll(): void {
    for (const batchId of this.#bells.keys()) this.ring(batchId)
  }
}

export const layer = ({ lease }: Options) =>
  Layer.effect(
    Batches,
    Effect.gen(function* () {
      const store = yield* Store
      const credentialing = yield* Credentialing
      const limits = yield* Limits
      const telemetry = yield* Telemetry
      const scope = yield* Effect.scope
      const owner = randomUUID()
      const leaseMillis = Duration.toMillis(lease)
      const bells = new Bells()
      const running = new Set<string>()
      let isDraining = false
      let isPaused = false

      const leaseUntil = Effect.map(Clock.currentTimeMillis, (now) => now + leaseMillis)

      const fail = Effect.fnUntraced(function* (item: Item, actor: string, detail: string) {
        const at = yield* Clock.currentTimeMillis
        const { batch_id, position, provider_id } = item
        const isEnded = yield* store.failItem({ batchId: batch_id, position }, detail, {
          at,
          action: "item_failed",
          actor,
          provider_id,
          batch_id,
          result_id: null,
          detail
        })
        if (isEnded) yield* telemetry.item("failed")
      })

      const work = (item: Item, actor: string) =>
        credentialing
          .credential({
            providerId: item.provider_id,
            actor,
            item: { batchId: item.batch_id, position: item.position }
          })
          .pipe(
            Effect.flatMap((result) => (result === undefined ? Effect.void : telemetry.item("done"))),
            Effect.catchTag(["ProviderNotFound", "KeyInUse"], ({ message }) => fail(item, actor, message)),
            Effect.andThen(Effect.sync(() => bells.ring(item.batch_id)))
          )

      const run = Effect.fnUntraced(function* (batchId: string) {
        const batch = yield* store.batch(batchId)
        if (batch === undefined) return
        const items = yield* store.pendingItems(batchId)
        yield* Effect.forEach(items, (item) => limits.batch.withPermit(batchId)(work(item, batch.requested_by)), {
          concurrency: "unbounded",
          discard: true
        })
        const at = yield* Clock.currentTimeMillis
        if (yield* store.completeBatch(batchId, at, batch.requested_by)) {
          yield* Effect.logInfo(`completed batch ${batchId}: ${batch.total} items`)
        }
        bells.ring(batchId)
      })

      const begin = (batchId: string) =>
        Effect.suspend(() => {
          if (running.has(batchId)) return Effect.void
          running.add(batchId)
          return run(batchId).pipe(
            Effect.tapError((error) => Effect.logWarning(`batch ${batchId} is tried again: ${error.message}`)),
            Effect.retry(Schedule.spaced("1 second")),
            Effect.ensuring(Effect.sync(() => running.delete(batchId))),
            Effect.forkIn(scope),
            Effect.asVoid
          )
        })

      const takeUp = Effect.gen(function* () {
        if (isDraining) return
        const now = yield* Clock.currentTimeMillis
        const claimed = yield* store.claimBatches(owner, now, now + leaseMillis)
        for (const batchId of claimed) yield* Effect.logInfo(`taken up batch ${batchId}`)
        yield* Effect.forEach(claimed, begin, { discard: true })
      })
      const renew = Effect.suspend(() =>
        running.size === 0 ? Effect.void : Effect.flatMap(leaseUntil, (until) => store.renewLeases(owner, until))
      )
      // First in, last out: released when nothing of it is worked on any more.
      yield* Effect.addFinalizer(() => Effect.ignore(store.releaseBatches(owner)))
      yield* Effect.andThen(renew, takeUp).pipe(
        Effect.catch((error) => Effect.logWarning(error.message)),
        Effect.repeat(Schedule.spaced(Duration.millis(leaseMillis / 3))),
        Effect.forkIn(scope)
      )

      const open = Effect.fn("Batches.open")(function* ({ actor, idempotencyKey, providerIds }: NewBatch) {
        const at = yield* Clock.currentTimeMillis
        const batchId = randomUUID()
        const fingerprint = fingerprintOf(providerIds)
        const { batch, isNew } = yield* store.openBatch(
          { batchId, providerIds, actor, idempotencyKey, fingerprint, at, owner, leaseUntil: at + leaseMillis },
          {
            at,
            action: "batch_opened",
            actor,
            provider_id: null,
            batch_id: batchId,
            result_id: null,
            detail: `${providerIds.length} items`
          }
        )
        if (batch.fingerprint !== fingerprint) {
          return yield* new KeyInUse({ detail: `The key was used for the batch ${batch.batch_id}, of other items` })
        }
        if (isNew) yield* begin(batch.batch_id)
        return batch
      })

      const watch = (batchId: string, seq: number): Stream.Stream<BatchEvent, StoreError> =>
        Stream.unwrap(
          Effect.gen(function* () {
            const bell = yield* Effect.acquireRelease(
              Effect.tap(Queue.sliding<void>(1), (made) => Effect.sync(() => bells.hang(batchId, made))),
              (made) => Effect.sync(() => bells.take(batchId, made))
            )
            return Stream.paginate(seq, (after: number) =>
              Effect.gen(function* () {
                // Before the items are read, so that nothing is done in between unseen.
                const batch = yield* store.batch(batchId)
                if (batch === undefined) return [[], Option.none()] as const
                const items = yield* store.itemsAfter(batchId, after)
                const events: Array<BatchEvent> = items.map((item) => ({ type: "item", item, total: batch.total }))
                if (batch.status === "completed") {
                  return [[...events, { type: "completed", batch } as const], Option.none()] as const
                }
                if (isPaused) return [[...events, { type: "paused", batch } as const], Option.none()] as const
                if (items.length === 0) yield* Effect.timeoutOption(Queue.take(bell), LOOK)
                return [events, Option.some(items.at(-1)?.seq ?? after)] as const
              })
            )
          })
        )

      return {
        open,
        watch,
        drain: Effect.sync(() => {
          isDraining = true
        }),
        pause: Effect.sync(() => {
          isPaused = true
          bells.ringAll()
        }),
        running: () => running.size
      }
    })
  )
