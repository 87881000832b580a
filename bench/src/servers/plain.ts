// The least that a server on node:http can do: what all others here stand on.
import { createServer } from "node:http"

const server = createServer((_, response) => {
  const body = '{"status":"alive"}'
  response.writeHead(200, { "content-type": "application/json", "content-length": body.length })
  response.end(body)
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  if (address !== null && typeof address === "object") console.log(`listening on ${address.port}`)
})
