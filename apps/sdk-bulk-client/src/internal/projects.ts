// Projects, which are paged by number where everything else is by offset.

import { Effect, Schema } from "effect"
import * as Bulk from "../Bulk.ts"
import * as Models from "../Models.ts"
import type { Projects } from "../Resource.ts"
import type { Api } from "./api.ts"
import { firstOf, paginate } from "./paged.ts"

export const projects = (api: Api): Projects => {
  const list: Projects["list"] = (options = {}) =>
    paginate(
      ({ limit, number }) =>
        api.send({
          method: "GET",
          segments: ["projects"],
          query: { page: number, per_page: limit, search: options.search },
          answer: Schema.Array(Models.Project)
        }),
      ({ id }) => id,
      options
    )
  return {
    list,
    get: (id) => api.send({ method: "GET", segments: ["projects", id], answer: Models.Project }),
    getByName: (name) => firstOf(list({ search: name }), (project) => project.name === name),
    create: (body) =>
      Effect.andThen(
        Bulk.validateAll(Models.ProjectCreate, [body]),
        Effect.suspend(() =>
          api.send({
            method: "POST",
            segments: ["projects"],
            body,
            answer: Models.Project,
            idempotencyKey: globalThis.crypto.randomUUID()
          })
        )
      ),
    update: (id, body) => api.send({ method: "PUT", segments: ["projects", id], body, answer: Models.Project }),
    delete: (id) => api.send({ method: "DELETE", segments: ["projects", id], answer: Schema.Void }),
    collections: (id) =>
      api.send({ method: "GET", segments: ["projects", id, "collections"], answer: Schema.Array(Models.Collection) }),
    collection: (id, kind) =>
      api.send({ method: "GET", segments: ["projects", id, "collections", kind], answer: Models.Collection })
  }
}
