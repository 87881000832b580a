// Headers, read and written on the path that every request takes.
//
// Node keeps a head as a flat list; to look into it as a record is to build that record
// and then Effect's. As most requests have none of the headers that are looked for
// here, the list is asked first whether it has any.

import * as Headers from "effect/http/Headers"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"

type Response = HttpServerResponse.HttpServerResponse

const isList = (value: unknown): value is ReadonlyArray<string> => Array.isArray(value)

/** Makes what answers a request's headers, and may answer none where it has none of these names (in lower case). */
export const makeLookUp = (
  names: ReadonlyArray<string>
): ((request: HttpServerRequest.HttpServerRequest) => Headers.Headers) => {
  const wanted = new Set(names)
  const lengths = new Set(names.map(({ length }) => length))
  return (request) => {
    // Headers that somebody has put in their place are not in the list.
    if ("headersOverride" in request && request.headersOverride !== undefined) return request.headers
    const { source } = request
    if (!("rawHeaders" in source) || !isList(source.rawHeaders)) return request.headers
    const list = source.rawHeaders
    for (let index = 0; index < list.length; index += 2) {
      const name = list[index]
      if (name !== undefined && lengths.has(name.length) && wanted.has(name.toLowerCase())) return request.headers
    }
    return Headers.empty
  }
}

const headersPrototype: object = Object.getPrototypeOf(Headers.empty)

/**
 * A response with further fields, which are in lower case. Made with its prototype, since to give an object another one
 * costs a microsecond or two.
 */
export const withFields = (response: Response, fields: Readonly<Record<string, string>>): Response => {
  const copy: { -readonly [Name in keyof Response]: Response[Name] } = Object.create(Object.getPrototypeOf(response))
  copy.status = response.status
  copy.statusText = response.statusText
  copy.cookies = response.cookies
  copy.body = response.body
  copy.headers = Object.assign(Object.create(headersPrototype), response.headers, fields)
  return copy
}
