// What every resource can do, from its schemas and its place in the path.

import { Effect, Option, Schema, Stream } from "effect"
import * as Bulk from "../Bulk.ts"
import type { CallError, InvalidConfiguration, InvalidItems } from "../Errors.ts"
import { BulkDeleted } from "../Models.ts"
import type { Api } from "./api.ts"

export interface ListOptions {
  /** Objects asked for at once. Default 100. */
  readonly pageSize?: number | undefined
  /** The most objects to give. Default: all. */
  readonly limit?: number | undefined
  readonly isAlwaysDisplayed?: boolean | undefined
  readonly search?: string | undefined
}

export interface Resource<Create, Created extends object, Item> {
  /** Every object, page by page as they are asked for. */
  list(projectId: string, options?: ListOptions): Stream.Stream<Item, CallError>
  get(projectId: string, id: string): Effect.Effect<Item, CallError>
  create(projectId: string, input: Create): Effect.Effect<Created, CallError | InvalidItems>
  update(projectId: string, id: string, change: Partial<Create>): Effect.Effect<Item, CallError>
  delete(projectId: string, id: string): Effect.Effect<void, CallError>
  /** Creates all and accounts for each. See `Bulk`. */
  bulkCreate(
    projectId: string,
    items: ReadonlyArray<Create>,
    options?: Bulk.BulkOptions
  ): Effect.Effect<Bulk.BulkReport<Created>, InvalidItems | InvalidConfiguration>
  /** The same for input that comes as it goes, in memory that does not grow with it. */
  bulkCreateStream(
    projectId: string,
    items: Iterable<Create> | AsyncIterable<Create>,
    options?: Bulk.BulkOptions
  ): Stream.Stream<Bulk.ItemResult<Created>, InvalidConfiguration>
  bulkDelete(projectId: string, ids: ReadonlyArray<string>): Effect.Effect<typeof BulkDeleted.Type, CallError>
}

/**
 * Reads pages until one is short. A server that does not know the paging parameters answers every page with the first;
 * the page's first id tells, so that such a list ends instead of going round for ever.
 */
export const paginate = <A extends { readonly id: string }>(
  fetchPage: (page: { readonly skip: number; readonly limit: number }) => Effect.Effect<ReadonlyArray<A>, CallError>,
  { limit = Number.POSITIVE_INFINITY, pageSize = 100 }: ListOptions
): Stream.Stream<A, CallError> =>
  Stream.paginate({ skip: 0, last: "" }, ({ last, skip }) =>
    Effect.map(fetchPage({ skip, limit: pageSize }), (page) => {
      const first = page[0]?.id ?? ""
      const isRepeated = skip > 0 && first === last
      const next = { skip: skip + page.length, last: first }
      const ends = isRepeated || page.length < pageSize
      return [isRepeated ? [] : page, ends ? Option.none() : Option.some(next)] as const
    })
  ).pipe(limit === Number.POSITIVE_INFINITY ? (all) => all : Stream.take(limit))

/** Makes the resource at `/projects/{project}/{path}`. `idsOf` tells which objects one create made. */
export const make = <Create extends object, Created extends object, Item extends { readonly id: string }>(
  api: Api,
  spec: {
    readonly path: string
    readonly create: Schema.Codec<Create, unknown>
    readonly created: Schema.Codec<Created, unknown>
    /** The created value as it is written to a checkpoint, which need not be how the API sends it. */
    readonly kept: Schema.Codec<Created, unknown>
    readonly item: Schema.Codec<Item, unknown>
    readonly idsOf: (created: Created) => ReadonlyArray<string>
  }
): Resource<Create, Created, Item> => {
  const collection = (projectId: string) => ["projects", projectId, spec.path]

  const post = (
    projectId: string,
    input: Create,
    how: { readonly idempotencyKey: string; readonly isolated: boolean; readonly attempted: () => void }
  ) => api.send({ method: "POST", segments: collection(projectId), body: input, answer: spec.created, ...how })

  const target = (projectId: string): Bulk.BulkTarget<Create, Created> => ({
    item: spec.create,
    value: spec.kept,
    create: (item, how) => post(projectId, item, how),
    defaults: { maxConcurrent: api.settings.maxConcurrent, isolated: api.settings.useConnectionIsolation }
  })

  const bulkDelete = (projectId: string, ids: ReadonlyArray<string>) =>
    api.send({
      method: "POST",
      segments: [...collection(projectId), "bulk-delete"],
      body: { ids },
      answer: BulkDeleted,
      // Deleting what is gone changes nothing, so the call may be sent again.
      idempotent: true
    })

  const undo = (projectId: string) => (created: ReadonlyArray<Created>) => {
    const ids = created.flatMap(spec.idsOf)
    return bulkDelete(projectId, ids).pipe(
      Effect.map((answer) => ({ deleted: answer.deleted_count, failedIds: answer.failed_ids })),
      Effect.catch(() => Effect.succeed({ deleted: 0, failedIds: ids }))
    )
  }

  return {
    list: (projectId, options = {}) =>
      paginate(
        ({ limit, skip }) =>
          api.send({
            method: "GET",
            segments: collection(projectId),
            query: { skip, limit, is_always_displayed: options.isAlwaysDisplayed, search: options.search },
            answer: Schema.Array(spec.item)
          }),
        options
      ),
    get: (projectId, id) => api.send({ method: "GET", segments: [...collection(projectId), id], answer: spec.item }),
    create: (projectId, input) =>
      Effect.andThen(
        Bulk.validateAll(spec.create, [input]),
        Effect.suspend(() =>
          post(projectId, input, {
            idempotencyKey: globalThis.crypto.randomUUID(),
            isolated: false,
            attempted: () => undefined
          })
        )
      ),
    update: (projectId, id, change) =>
      api.send({ method: "PUT", segments: [...collection(projectId), id], body: change, answer: spec.item }),
    delete: (projectId, id) =>
      api.send({ method: "DELETE", segments: [...collection(projectId), id], answer: Schema.Void }),
    bulkCreate: (projectId, items, options = {}) => Bulk.create(target(projectId), items, options, undo(projectId)),
    bulkCreateStream: (projectId, items, options = {}) => Bulk.stream(target(projectId), items, options),
    bulkDelete
  }
}
