// Lists, page by page.

import { Effect, Option, Schema, Stream } from "effect"
import type { CallError } from "../Errors.ts"
import type { ListOptions } from "../Resource.ts"
import type { Api } from "./api.ts"

/**
 * Reads pages until one is short. A server that does not know the paging parameters answers every page with the first;
 * the id of its first object tells, so that such a list ends instead of going round for ever.
 */
export const paginate = <A>(
  fetchPage: (page: { readonly skip: number; readonly limit: number }) => Effect.Effect<ReadonlyArray<A>, CallError>,
  idOf: (object: A) => string,
  { limit = Number.POSITIVE_INFINITY, pageSize = 100 }: ListOptions
): Stream.Stream<A, CallError> =>
  Stream.paginate({ skip: 0, last: "" }, ({ last, skip }) =>
    Effect.map(fetchPage({ skip, limit: pageSize }), (page) => {
      const head = page[0]
      const first = head === undefined ? "" : idOf(head)
      const isRepeated = skip > 0 && first === last
      const next = { skip: skip + page.length, last: first }
      const ends = isRepeated || page.length < pageSize
      return [isRepeated ? [] : page, ends ? Option.none() : Option.some(next)] as const
    })
  ).pipe(limit === Number.POSITIVE_INFINITY ? (all) => all : Stream.take(limit))

/** The objects at a path that takes `skip` and `limit`. */
export const paged = <A>(
  api: Api,
  segments: ReadonlyArray<string>,
  item: Schema.Codec<A, unknown>,
  idOf: (object: A) => string,
  options: ListOptions
): Stream.Stream<A, CallError> =>
  paginate(
    ({ limit, skip }) =>
      api.send({
        method: "GET",
        segments,
        query: { skip, limit, is_always_displayed: options.isAlwaysDisplayed, search: options.search },
        answer: Schema.Array(item)
      }),
    idOf,
    options
  )

/** The first object that `is` says is the one. Reads no further. */
export const firstOf = <A>(
  list: Stream.Stream<A, CallError>,
  is: (object: A) => boolean
): Effect.Effect<A | undefined, CallError> => Effect.map(Stream.runHead(Stream.filter(list, is)), Option.getOrUndefined)
