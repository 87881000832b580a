// A response of Node whose head and body go out in one write.
//
// Node joins them where the body is one text of the announced length, unless it was
// told to check that length (`strictContentLength`, which Effect's adapter does): then
// it writes the head with the body, and an empty text after them to know when they are
// out, by `writev` and with one more turn of the loop. Here the length is checked first,
// and Node need not.

import type * as Http from "node:http"

/** Made when it is asked for, since only Node has what it extends. */
export const oneWriteResponse = (http: typeof Http): typeof Http.ServerResponse => {
  class OneWriteResponse<
    Request extends Http.IncomingMessage = Http.IncomingMessage
  > extends http.ServerResponse<Request> {
    private hasWritten = false

    override write(...args: ReadonlyArray<never>): boolean {
      this.hasWritten = true
      return Reflect.apply(super.write, this, args)
    }

    override end(...args: ReadonlyArray<never>): this {
      const [chunk]: ReadonlyArray<unknown> = args
      if (this.strictContentLength && !this.hasWritten && args.length === 1 && typeof chunk === "string") {
        // What `writeHead` was told. Where Node has no such property, nothing is equal to it.
        const announced: unknown = Reflect.get(this, "_contentLength")
        if (announced === Buffer.byteLength(chunk)) this.strictContentLength = false
      }
      return Reflect.apply(super.end, this, args)
    }
  }
  return OneWriteResponse
}
