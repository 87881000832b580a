// Lists, page by page.

import { Effect, Option, Schema, Stream } from "effect"
import type { CallError } from "../Errors.ts"
import type { ListOptions } from "../Resource.ts"
import type { Api } from "./api.ts"

/** Pages that the API is known to give whole: it may cut larger ones without saying so. */
const wholePage = 100

export interface Page {
  readonly skip: number
  /** From 1. */
  readonly number: number
  readonly limit: number
}

const wrong = ({ limit = 0, pageSize = 1 }: ListOptions): string | undefined => {
  if (!Number.isInteger(pageSize) || pageSize < 1) return `pages of ${pageSize}: a whole number, 1 or more, is needed`
  return limit >= 0 ? undefined : `${limit} objects: a number, 0 or more, is needed`
}

/**
 * Reads pages until one is short. A server that does not know the paging parameters answers every page with the first;
 * the id of its first object tells, so that such a list ends instead of going round for ever.
 */
export const paginate = <A>(
  fetchPage: (page: Page) => Effect.Effect<ReadonlyArray<A>, CallError>,
  idOf: (object: A) => string,
  options: ListOptions
): Stream.Stream<A, CallError> => {
  const { limit = Number.POSITIVE_INFINITY, pageSize = 100 } = options
  const issue = wrong(options)
  if (issue !== undefined) return Stream.die(new RangeError(`Cannot list ${issue}`))
  const pages = Stream.paginate({ skip: 0, number: 1, last: "" }, ({ last, number, skip }) =>
    Effect.map(fetchPage({ skip, number, limit: pageSize }), (page) => {
      const head = page[0]
      const first = head === undefined ? "" : idOf(head)
      const isRepeated = number > 1 && first === last
      const ends = isRepeated || page.length < Math.min(pageSize, wholePage)
      const next = { skip: skip + page.length, number: number + 1, last: first }
      return [isRepeated ? [] : page, ends ? Option.none() : Option.some(next)] as const
    })
  )
  return limit === Number.POSITIVE_INFINITY ? pages : Stream.take(pages, limit)
}

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
