// A language model's endpoint that says what a test tells it to.
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"

export interface Asked {
  readonly path: string
  readonly authorization: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: the shape is asserted, not assumed
  readonly body: any
}

export interface FakeModel {
  readonly url: string
  readonly asked: ReadonlyArray<Asked>
  /** Answers of which the last byte is not out. */
  readonly open: () => number
  readonly close: () => Promise<void>
}

export type Answer = (response: ServerResponse, asked: Asked) => void

export const delta = (content: string): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`

/** Says words as a model does: a role first, then the words, then what was used, then that it is all. */
export const saying =
  (...words: ReadonlyArray<string>): Answer =>
  (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { role: "assistant" } }] })}\n\n`)
    for (const word of words) response.write(delta(word))
    response.write(`data: ${JSON.stringify({ choices: [], usage: { total_tokens: 7 } })}\n\n`)
    response.end("data: [DONE]\n\n")
  }

const read = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const chunk of request) text += chunk
  return text
}

export const fakeModel = async (answer: Answer): Promise<FakeModel> => {
  const asked: Array<Asked> = []
  let open = 0
  const server = createServer(async (request, response) => {
    open++
    response.once("close", () => open--)
    const one = {
      path: request.url ?? "",
      authorization: request.headers.authorization,
      body: JSON.parse(await read(request))
    }
    asked.push(one)
    answer(response, one)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The model has no port")
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    asked,
    open: () => open,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}
