// A model server of the tests' own, which says what it is told to and remembers what
// it was asked.
import { once } from "node:events"
import { createServer, type IncomingMessage } from "node:http"

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  /** As bytes, each of them a sign. */
  readonly body: string
}

export interface Said {
  readonly status?: number
  readonly json: unknown
}

export interface ModelServer {
  readonly url: string
  readonly asked: ReadonlyArray<Asked>
  close(): Promise<void>
}

export const startModels = async (answer: (asked: Asked) => Said | Promise<Said>): Promise<ModelServer> => {
  const asked: Array<Asked> = []
  const server = createServer(async (request, response) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk)
    const one: Asked = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      body: Buffer.concat(chunks).toString("latin1")
    }
    asked.push(one)
    const { json, status = 200 } = await answer(one)
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The model server has no port")
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}
