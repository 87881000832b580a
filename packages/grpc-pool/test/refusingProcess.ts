// A server that refuses the first streams of each connection before it looks at them.
import * as http2 from "node:http2"
import { connectNodeAdapter } from "@connectrpc/connect-node"
import { EchoService } from "@sluice/grpc-pool/testing"

const refusals = Number(process.argv[2])
const seen = new WeakMap<http2.Http2Session, number>()
const answer = connectNodeAdapter({
  routes: (router) => void router.service(EchoService, { echo: () => ({ message: "well" }) })
})
const server = http2.createServer((request, response) => {
  const { session } = response.stream
  if (session === undefined) return
  const count = (seen.get(session) ?? 0) + 1
  seen.set(session, count)
  if (count <= refusals) response.stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
  else answer(request, response)
})
server.listen(0, "127.0.0.1", () => {
  const bound = server.address()
  process.stdout.write(`127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`)
})
process.stdin.on("end", () => process.exit()).resume()
