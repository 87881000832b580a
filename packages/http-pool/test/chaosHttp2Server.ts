// An HTTP/2 server that misbehaves in every way that servers do, by a seeded die.
//
// A program of its own, run by Node whatever runtime runs the tests, since not
// every runtime's server resets streams and goes away as it is told. It says its
// port, serves, says at `/report` what it did, and ends when its input does.
import { createServer, type ServerHttp2Stream } from "node:http2"
import { die } from "./die.ts"

const throwDie = die(20_261_121)
const executions = new Map<string, number>()
/** The last stream that a session which is going away takes notice of. */
const lastStreams = new WeakMap<object, number>()
let faults = 0

const internalError = 2
const refusedStream = 7

const inPieces = (stream: ServerHttp2Stream, pieces: number): void => {
  if (stream.destroyed) return
  if (pieces === 0) {
    stream.end()
    return
  }
  stream.write("piece ")
  setImmediate(() => inPieces(stream, pieces - 1))
}

const serve = (stream: ServerHttp2Stream, key: string | undefined): void => {
  const cast = throwDie()
  const answer = (status: number, body: string | Buffer): void => {
    stream.respond({ ":status": status, "retry-after": "0" })
    stream.end(body)
  }
  if (cast < 0.3) faults++
  if (cast < 0.05) {
    stream.close(refusedStream)
    return
  }
  if (key !== undefined) executions.set(key, (executions.get(key) ?? 0) + 1)
  if (cast < 0.1) stream.close(internalError)
  // Nothing before the head, and then nothing within the body.
  else if (cast < 0.13) return
  else if (cast < 0.15) {
    stream.respond({ ":status": 200, "content-length": 100 })
    stream.write("half")
  } else if (cast < 0.2) answer(503, "busy")
  else if (cast < 0.28) {
    stream.respond({ ":status": 200 })
    inPieces(stream, 20)
  } else if (cast < 0.295) answer(200, Buffer.alloc(200_000, "x"))
  else if (cast < 0.298) {
    const { session } = stream
    if (session !== undefined) {
      lastStreams.set(session, stream.id ?? 0)
      session.goaway(0, stream.id)
    }
    answer(200, "the last of its session")
  } else if (cast < 0.3) stream.session?.destroy()
  else answer(200, "ok")
}

const server = createServer({ settings: { maxConcurrentStreams: 50 } })
server.on("session", (session) => {
  session.on("error", () => {})
})
server.on("stream", (stream, headers) => {
  stream.on("error", () => {})
  stream.resume()
  if (headers[":path"] === "/report") {
    stream.respond({ ":status": 200 })
    stream.end(JSON.stringify({ faults, most: Math.max(0, ...executions.values()) }))
    return
  }
  const last = stream.session === undefined ? undefined : lastStreams.get(stream.session)
  if (last !== undefined && (stream.id ?? 0) > last) return
  const key = headers["idempotency-key"]
  serve(stream, typeof key === "string" ? key : undefined)
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  console.log(typeof address === "object" ? address?.port : address)
})
process.stdin.on("end", () => process.exit())
process.stdin.resume()
