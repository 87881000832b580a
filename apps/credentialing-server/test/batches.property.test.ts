// The law of batches: whatever fails and however often the process ends in the
// middle, each item has one outcome in the end, and no more are worked on at once
// than may be. The model is the list of ids: those that there are come to one
// result each, the others to a failure.
import { Context, Duration, Effect, Exit, Layer, Option, References, Scope, Stream } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Batches from "../src/Batches.ts"
import * as Credentialing from "../src/Credentialing.ts"
import { Documents } from "../src/Documents.ts"
import * as Limits from "../src/Limits.ts"
import { type Item, Store, type StoreApi } from "../src/Store.ts"
import * as Sqlite from "../src/store/sqlite.ts"
import * as Telemetry from "../src/Telemetry.ts"
import { Registries, RegistryUnavailable } from "../src/workflow/Registries.ts"
import { idsTo } from "./support/server.ts"

const PROVIDERS = 12
const ids = fc.uniqueArray(fc.constantFrom(...idsTo(PROVIDERS), "nobody", "provider_999", "' or 1=1 --"), {
  minLength: 1,
  maxLength: PROVIDERS + 3
})

interface Watch {
  atOnce: number
  most: number
  looks: number
}

/** Registries of which every so manieth look fails, and each takes a moment. */
const registries = (watch: Watch, failEvery: number) =>
  Layer.succeed(Registries, {
    look: (check) =>
      Effect.gen(function* () {
        // Of the four looks of a provider, one stands for all.
        if (check === "licence") watch.most = Math.max(watch.most, ++watch.atOnce)
        yield* Effect.yieldNow
        if (++watch.looks % failEvery === 0) {
          return yield* new RegistryUnavailable({ check, reason: "it is away", passing: false })
        }
        return null
      }).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            if (check === "licence") watch.atOnce--
          })
        )
      ),
    stats: Effect.succeed([]),
    get places(): never {
      throw new Error("Nobody asks for the places")
    }
  })

const documents = Layer.succeed(Documents, { write: () => Effect.void, read: () => Effect.succeed("") })

const process = (store: StoreApi, watch: Watch, atOnce: number, failEvery: number) =>
  Batches.layer({ lease: Duration.minutes(1) }).pipe(
    Layer.provide(Credentialing.layer),
    Layer.provide(registries(watch, failEvery)),
    Layer.provide([
      documents,
      Telemetry.layer,
      Limits.layer({ llmRequests: 1, batchItems: atOnce, fileOperations: 1 }),
      Layer.succeed(Store, store)
    ])
  )

/** What is told of a batch to its end, by a process that is there for it. */
const rest = (layer: ReturnType<typeof process>, batchId: string) =>
  Effect.gen(function* () {
    const batches = yield* Batches.Batches
    return yield* Stream.runCollect(batches.watch(batchId, 0))
  }).pipe(Effect.provide(layer))

const quietly = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(Effect.provideService(effect, References.MinimumLogLevel, "None"))

describe("a batch", () => {
  it("has one outcome of each item, in an order without gaps, however often it is broken off", async () => {
    await fc.assert(
      fc.asyncProperty(
        ids,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 2, max: 9 }),
        fc.array(fc.nat(PROVIDERS), { maxLength: 3 }),
        (providerIds, atOnce, failEvery, ends) =>
          Effect.gen(function* () {
            const watch: Watch = { atOnce: 0, most: 0, looks: 0 }
            const store = yield* Sqlite.make({ path: ":memory:", providers: PROVIDERS, seed: 1 })
            const first = yield* Scope.make()
            const context = yield* Layer.buildWithScope(process(store, watch, atOnce, failEvery), first)
            const batch = yield* Context.get(context, Batches.Batches).open({
              providerIds,
              actor: "test",
              idempotencyKey: undefined
            })
            let scope = first
            for (const end of ends) {
              // The process ends once so many items are done; the next one takes the batch up.
              yield* Effect.repeat(store.itemsAfter(batch.batch_id, 0), {
                until: (done) => done.length >= Math.min(end, providerIds.length)
              })
              yield* Scope.close(scope, Exit.void)
              expect(watch.atOnce).toBe(0)
              scope = yield* Scope.make()
              yield* Layer.buildWithScope(process(store, watch, atOnce, failEvery), scope)
            }
            yield* Scope.close(scope, Exit.void)

            const told = yield* rest(process(store, watch, atOnce, failEvery), batch.batch_id)
            const items = told.flatMap((event): ReadonlyArray<Item> => (event.type === "item" ? [event.item] : []))
            expect(items.map(({ seq }) => seq)).toEqual(providerIds.map((_, index) => index + 1))
            expect(items.map(({ provider_id }) => provider_id).toSorted()).toEqual(providerIds.toSorted())
            expect(told.at(-1)).toMatchObject({ type: "completed", batch: { total: providerIds.length } })
            const known = new Set(idsTo(PROVIDERS))
            for (const { decision, provider_id, result_id, status } of items) {
              expect(status).toBe(known.has(provider_id) ? "done" : "failed")
              expect(result_id !== null).toBe(status === "done")
              expect(decision !== null).toBe(status === "done")
            }
            const results = yield* store.results({}, 0, 1000)
            expect(results.items.map(({ provider_id }) => provider_id).toSorted()).toEqual(
              providerIds.filter((id) => known.has(id)).toSorted()
            )
            expect(watch.most).toBeLessThanOrEqual(atOnce)
          }).pipe(Effect.scoped, quietly)
      ),
      { numRuns: 40 }
    )
  })

  it("is one batch for one key, however often and with whatever else it is sent", async () => {
    const keys = fc.array(fc.tuple(fc.constantFrom("a", "b"), fc.constantFrom(["provider_001"], ["provider_002"])), {
      minLength: 1,
      maxLength: 8
    })
    await fc.assert(
      fc.asyncProperty(keys, (requests) =>
        Effect.gen(function* () {
          const watch: Watch = { atOnce: 0, most: 0, looks: 0 }
          const store = yield* Sqlite.make({ path: ":memory:", providers: PROVIDERS, seed: 1 })
          const context = yield* Layer.build(process(store, watch, 2, 9))
          const batches = Context.get(context, Batches.Batches)
          const model = new Map<string, { readonly ids: ReadonlyArray<string>; readonly batchId: string }>()
          for (const [key, providerIds] of requests) {
            const opened = yield* Effect.option(batches.open({ providerIds, actor: "test", idempotencyKey: key }))
            const before = model.get(key)
            if (before === undefined) {
              model.set(key, { ids: providerIds, batchId: Option.getOrThrow(opened).batch_id })
            } else if (before.ids[0] === providerIds[0]) {
              expect(Option.getOrThrow(opened).batch_id).toBe(before.batchId)
            } else {
              expect(Option.isNone(opened)).toBe(true)
            }
          }
          expect((yield* store.batches(0, 100)).total).toBe(model.size)
        }).pipe(Effect.scoped, quietly)
      ),
      { numRuns: 30 }
    )
  })
})
