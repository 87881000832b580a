import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Answer, delta, type FakeModel, fakeModel, saying } from "./support/model.ts"
import { events, get, idsTo, post, type Running, serve, stop, temporaryFolder } from "./support/server.ts"

const folder = temporaryFolder()
let server: Running
let asked: Running
let model: FakeModel
let answer: Answer

const LLM = { LLM_MODEL: "test-model", LLM_API_KEY: "secret-of-the-model" }

beforeAll(async () => {
  model = await fakeModel((response, one) => answer(response, one))
  server = await serve(folder.path, { DATABASE_PATH: ":memory:" })
  asked = await serve(folder.path, {
    ...LLM,
    DATABASE_PATH: ":memory:",
    LLM_BASE_URL: model.url,
    MAX_CONCURRENT_LLM_REQUESTS: "2"
  })
  const batch = { provider_ids: idsTo(100) }
  await Promise.all([server, asked].map(({ url }) => post(`${url}/batch-credential`, batch)))
}, 60_000)
afterAll(async () => {
  await Promise.all([stop(server), stop(asked)])
  await model.close()
  folder.remove()
})

const ask = (running: Running, message: string) => post(`${running.url}/chat`, { message, stream: false })

const streamed = async (running: Running, message: string, accept = "text/event-stream") =>
  fetch(`${running.url}/chat`, {
    method: "POST",
    headers: { "content-type": "application/json", accept },
    body: JSON.stringify({ message })
  })

describe("a chat without a language model", () => {
  it("says that its answer is put together by rules, a word at a time", async () => {
    const seen = []
    for await (const event of events(await streamed(server, "Why was provider_001 decided so?"))) seen.push(event)
    expect(seen[0]).toMatchObject({ event: "start", data: { source: "rules", model: null } })
    expect(seen[0]?.data.note).toContain("No language model is configured")
    expect(seen.at(-1)?.event).toBe("end")
    const text = seen.map(({ data }) => data.text ?? "").join("")
    const { body } = await get(`${server.url}/providers/provider_001`)
    expect(text).toContain(body.name)
    expect(text).toContain(body.latest_result.decision)
    expect(seen.filter(({ event }) => event === "token").length).toBeGreaterThan(10)
  })

  it("comes as lines of JSON, too", async () => {
    const response = await streamed(server, "How many are approved?", "application/x-ndjson")
    const lines = (await response.text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    expect(lines[0].type).toBe("start")
    expect(lines.at(-1)).toEqual({ type: "end" })
  })

  it("answers what was asked, from what is kept", async () => {
    const { body: denied } = await get(`${server.url}/providers?status=denied&limit=200`)
    const reply = await ask(server, "Which providers were denied?")
    expect(reply.body).toMatchObject({ source: "rules", is_whole: true })
    expect(reply.body.answer).toContain(`${denied.total} providers have denied`)
    for (const { provider_id } of denied.providers.slice(0, 5)) expect(reply.body.answer).toContain(provider_id)

    const [{ findings, provider_id }] = (await get(`${server.url}/results?decision=denied`)).body.results
    const why = await ask(server, `Why was ${provider_id} denied?`)
    const failed = findings.find(({ status }: { status: string }) => status === "failed")
    expect(why.body.answer).toContain(failed.reasons[0])

    const { body: first } = await get(`${server.url}/providers/provider_003`)
    expect((await ask(server, `What about ${first.name}?`)).body.answer).toContain("provider_003")
    expect((await ask(server, "And provider_987?")).body.answer).toBe("There is no provider provider_987.")
    expect((await ask(server, "And provider_150?")).body.answer).toContain("has not been credentialed yet")
    expect((await ask(server, "How is the batch?")).body.answer).toContain("100 of 100 items done")
    expect((await ask(server, "Hello!")).body.answer).toContain("Of 200 providers")
  })
})

describe("a chat with a language model", () => {
  it("sends it the facts and the question, and streams its words as they come", async () => {
    answer = saying("It was ", "approved", ".")
    const before = model.asked.length
    const seen = []
    for await (const event of events(await streamed(asked, "Why was provider_001 decided so?"))) seen.push(event)
    expect(seen.map(({ data, event }) => [event, data.text ?? data.source ?? ""])).toEqual([
      ["start", "model"],
      ["token", expect.any(String)],
      ...seen.slice(2, -1).map(() => ["token", expect.any(String)]),
      ["end", ""]
    ])
    expect(seen.map(({ data }) => data.text ?? "").join("")).toBe("It was approved.")
    expect(seen[0]?.data.note).toContain("test-model")
    const [question] = model.asked.slice(before)
    expect(question).toMatchObject({
      path: "/v1/chat/completions",
      authorization: "Bearer secret-of-the-model",
      body: { model: "test-model", stream: true }
    })
    expect(question?.body.messages[0].content).toContain("provider_001")
    expect(question?.body.messages[1]).toEqual({ role: "user", content: "Why was provider_001 decided so?" })
  })

  it("holds one of the places for as long as an answer comes, and no more come at once than there are places", async () => {
    const waiting: Array<() => void> = []
    answer = (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.write(delta("well"))
      waiting.push(() => response.end("data: [DONE]\n\n"))
    }
    const answers = Array.from({ length: 6 }, () => ask(asked, "Hello!"))
    let served = 0
    while (served < 6) {
      const { body } = await get(`${asked.url}/health/concurrency`)
      expect(waiting.length).toBeLessThanOrEqual(2)
      if (waiting.length === 2) {
        expect(body.concurrency.llm_semaphore.total).toBe(2)
        served += waiting.length
        for (const end of waiting.splice(0)) end()
      }
    }
    for (const { body } of await Promise.all(answers)) expect(body).toMatchObject({ answer: "well", is_whole: true })
    const { body } = await get(`${asked.url}/health/concurrency`)
    expect(body.concurrency.llm_semaphore).toEqual({ available: 2, total: 2, utilization: "0.0%" })
  })

  it("gives its place back when the one who asked has gone", async () => {
    answer = (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.write(delta("well"))
    }
    const gone = new AbortController()
    const response = await fetch(`${asked.url}/chat`, {
      method: "POST",
      signal: gone.signal,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message: "Hello!" })
    })
    const reader = response.body?.getReader()
    await reader?.read()
    gone.abort()
    await reader?.read().catch(() => undefined)
    for (;;) {
      const { body } = await get(`${asked.url}/health/concurrency`)
      if (body.concurrency.llm_semaphore.available === 2 && model.open() === 0) break
    }
  })

  it("asks again where the model fails in passing", async () => {
    let calls = 0
    answer = (response, one) => {
      if (++calls > 1) return saying("yes")(response, one)
      response.writeHead(503).end()
    }
    expect((await ask(asked, "Hello!")).body).toMatchObject({ answer: "yes", source: "model" })
    expect(calls).toBe(2)
  })

  it("says that an answer broke off, and what came of it", async () => {
    answer = (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.write(delta("It was "))
      response.end()
    }
    expect((await ask(asked, "Hello!")).body).toMatchObject({
      answer: "It was ",
      source: "model",
      is_whole: false,
      detail: "The language model gave no answer: it broke off"
    })
  })

  it("answers by rules, and says why, where the model does not answer", async () => {
    answer = (response) => {
      response.writeHead(401).end()
    }
    const { body } = await ask(asked, "Hello!")
    expect(body).toMatchObject({ source: "rules", model: null, is_whole: true })
    expect(body.note).toContain("it answered with status 401")
    expect(body.answer).toContain("Of 200 providers")
  })
})
