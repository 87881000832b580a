// What every resource can do, from its schemas and its place in the path.

import { Effect, Schema } from "effect"
import * as Bulk from "../Bulk.ts"
import * as Models from "../Models.ts"
import type { NamedResource, Resource } from "../Resource.ts"
import type { Api } from "./api.ts"
import { firstOf, paged } from "./paged.ts"

/** Ids deleted by one request. */
const deletedAtOnce = 500

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

  const post = (projectId: string, input: Create, how: Parameters<Bulk.Create<Create, Created>>[1]) =>
    api.send({ method: "POST", segments: collection(projectId), body: input, answer: spec.created, ...how })

  const target = (projectId: string): Bulk.BulkTarget<Create, Created> => ({
    name: `${spec.path} of project ${projectId}`,
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
      answer: Models.BulkDeleted,
      // Deleting what is gone changes nothing, so the call may be sent again.
      idempotent: true
    })

  /** Deletes slice by slice, so that one that cannot be deleted leaves the others deleted. */
  const undo = (projectId: string) => (created: ReadonlyArray<Created>) => {
    const ids = created.flatMap(spec.idsOf)
    const slices = Array.from({ length: Math.ceil(ids.length / deletedAtOnce) }, (_, slice) =>
      ids.slice(slice * deletedAtOnce, (slice + 1) * deletedAtOnce)
    )
    return Effect.forEach(slices, (slice) =>
      bulkDelete(projectId, slice).pipe(
        Effect.map((answer) => ({ deleted: answer.deleted_count, failedIds: answer.failed_ids })),
        Effect.catch(() => Effect.succeed({ deleted: 0, failedIds: slice }))
      )
    ).pipe(
      Effect.map((answers) => ({
        deleted: answers.reduce((sum, { deleted }) => sum + deleted, 0),
        failedIds: answers.flatMap(({ failedIds }) => failedIds)
      }))
    )
  }

  return {
    list: (projectId, options = {}) => paged(api, collection(projectId), spec.item, ({ id }) => id, options),
    get: (projectId, id) => api.send({ method: "GET", segments: [...collection(projectId), id], answer: spec.item }),
    create: (projectId, input) =>
      Effect.andThen(
        Bulk.validateAll(spec.create, [input]),
        Effect.suspend(() =>
          post(projectId, input, {
            idempotencyKey: globalThis.crypto.randomUUID(),
            isolated: false,
            attempted: () => undefined,
            signal: undefined
          })
        )
      ),
    update: (projectId, id, change) =>
      api.send({ method: "PUT", segments: [...collection(projectId), id], body: change, answer: spec.item }),
    delete: (projectId, id) =>
      api.send({ method: "DELETE", segments: [...collection(projectId), id], answer: Schema.Void }),
    bulkCreate: (projectId, items, options = {}) => Bulk.create(target(projectId), items, options, undo(projectId)),
    bulkCreateStream: (projectId, items, options = {}) => Bulk.stream(target(projectId), items, options),
    bulkCreateProgress: (projectId, items, options = {}) => Bulk.progress(target(projectId), items, options),
    undo: (projectId, report) => undo(projectId)(Bulk.createdBy(report)),
    bulkDelete
  }
}

/** Adds the look-up by name. */
export const named = <Create, Created extends object, Item extends { readonly name: string }>(
  resource: Resource<Create, Created, Item>
): NamedResource<Create, Created, Item> => ({
  ...resource,
  getByName: (projectId, name) => firstOf(resource.list(projectId), (object) => object.name === name)
})
