// A server listens a moment before its routes are in place, and among several
// workers it has connections by then. `node:http` has no answer to a request that
// nobody listens to: it would stay open until its client gives up.

import type * as Http from "node:http"

/** Keeps what comes before there are routes, at most so much, and hands it to the first who listens from now on. */
export const holdEarly = (server: Http.Server, most: number): void => {
  const early: Array<Parameters<Http.RequestListener>> = []
  const hold: Http.RequestListener = (request, response) => {
    if (early.length < most) early.push([request, response])
    else request.socket.destroy()
  }
  const onListener = (event: string | symbol, listener: Http.RequestListener): void => {
    if (event !== "request") return
    server.off("newListener", onListener)
    server.off("request", hold)
    // Whoever begins to listen is ready once it has returned from it.
    queueMicrotask(() => {
      for (const [request, response] of early.splice(0)) listener.call(server, request, response)
    })
  }
  server.on("request", hold)
  server.on("newListener", onListener)
}
