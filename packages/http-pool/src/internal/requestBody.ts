// From an HttpBody to what the transport can send.
import type { HttpBody } from "effect/http/HttpBody"
import * as Stream from "effect/Stream"

export interface TransportBody {
  readonly body: unknown
  readonly contentType?: string
  /** Stops what produces the body. */
  readonly stop?: () => void
}

const none: TransportBody = { body: null }

/** Whether the same body can be sent a second time. */
export const isReplayable = (body: HttpBody): boolean =>
  body._tag === "Empty" ||
  body._tag === "Uint8Array" ||
  (body._tag === "Raw" && (typeof body.body === "string" || body.body instanceof Uint8Array))

/** What the request's own body failed with, as distinct from what the transport fails with. */
export class RequestBodyFailed extends Error {
  constructor(cause: unknown) {
    super("The body of the request failed", { cause })
  }
}

// The transport asks the iterator for the next chunk only when the socket takes
// more, which is the back-pressure; it does not stop one that it waits for when
// the request ends early, so that is done here.
const fromIterable = (iterable: AsyncIterable<Uint8Array>, contentType?: string): TransportBody => {
  const iterator = iterable[Symbol.asyncIterator]()
  let isDone = false
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    try {
      const result = await iterator.next()
      if (result.done === true) isDone = true
      return result
    } catch (cause) {
      isDone = true
      throw new RequestBodyFailed(cause)
    }
  }
  const stop = (): void => {
    if (isDone) return
    isDone = true
    iterator.return?.().catch(() => {})
  }
  return {
    body: { [Symbol.asyncIterator]: () => ({ next }) },
    stop,
    ...(contentType === undefined ? undefined : { contentType })
  }
}

/** The body as bytes, if it needs no iteration. */
export const bytesOf = (body: unknown): Uint8Array | undefined =>
  typeof body === "string" ? new TextEncoder().encode(body) : body instanceof Uint8Array ? body : undefined

export const toTransportBody = (body: HttpBody): TransportBody => {
  switch (body._tag) {
    case "Empty":
      return none
    case "Uint8Array":
      return { body: body.body }
    case "Raw":
      return { body: body.body }
    case "Stream":
      return fromIterable(Stream.toAsyncIterable(body.stream))
    case "FormData": {
      // Web platforms know how to write a form; the response is only its pen.
      const encoded = new Response(body.formData)
      const contentType = encoded.headers.get("content-type") ?? "multipart/form-data"
      if (encoded.body === null) return none
      return fromIterable(encoded.body, contentType)
    }
  }
}
