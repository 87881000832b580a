// Servers of other interfaces, and what the way to each of them bears.
import { afterEach, describe, expect, it } from "vitest"
import { letter, recording } from "./support/files.ts"
import { type Asked, type ModelServer, type Said, startModels } from "./support/models.ts"
import { get, post, type Running, send, start, stop } from "./support/server.ts"

const COMPLAINT =
  "I, Ananya Sharma, daughter of Rajesh Sharma, state that on 14 March 2025 two men snatched my mobile phone near Moolchand, New Delhi and fled."

const open: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

const models = async (answer: (asked: Asked) => Said | Promise<Said>): Promise<ModelServer> => {
  const server = await startModels(answer)
  open.push(() => server.close())
  return server
}
const serve = async (environment: Readonly<Record<string, string>>): Promise<Running> => {
  const server = await start("serve", { DATABASE_PATH: ":memory:", ...environment })
  open.push(() => stop(server))
  return server
}
const approve = (url: string, session_id: string) => post(`${url}/validate`, { session_id, approved: true })
const upload = (url: string, name: string, bytes: Uint8Array<ArrayBuffer>) => {
  const body = new FormData()
  body.append(name, new File([bytes], "file"))
  return send(`${url}/process`, { method: "POST", body })
}

/** What an OpenAI-compatible server says to the questions of the pipeline. */
const chat = ({ body, path }: Asked): Said => {
  if (path === "/v1/models") return { json: { data: [{ id: "llama-3.1-8b" }, { id: "whisper" }] } }
  if (path === "/v1/audio/transcriptions") return { json: { text: COMPLAINT } }
  const { messages } = JSON.parse(body)
  const [{ content }] = messages
  if (typeof content !== "string") return { json: { choices: [{ message: { content: COMPLAINT } }] } }
  const said = /Answer YES or NO/.test(content) ? "YES" : "Two men snatched my mobile phone near Moolchand, New Delhi."
  return { json: { choices: [{ message: { role: "assistant", content: said }, finish_reason: "stop" }] } }
}

describe("an OpenAI-compatible server", () => {
  it("is asked for everything: questions, images and recordings", async () => {
    const server = await models(chat)
    const { url } = await serve({
      MODEL_SERVER_URL: `${server.url}/v1`,
      MODEL_SERVER_API: "openai",
      MODEL_NAME: "llama-3.1-8b",
      MODEL_SERVER_KEY: "key-of-the-model-server",
      ASR_OCR_SERVER_API: "openai",
      OCR_MODEL_NAME: "a-model-that-sees"
    })
    const { body } = await get(`${url}/health`)
    expect(body.model_server).toEqual({ status: "healthy", message: "llama-3.1-8b, whisper" })
    const opened = await post(`${url}/process`, { text: COMPLAINT })
    let last = opened
    for (let step = 0; step < 5; step++) last = await approve(url, opened.body.session_id)
    expect(last.body.completed).toBe(true)
    const question = JSON.parse(server.asked.find(({ path }) => path.endsWith("/chat/completions"))?.body ?? "")
    expect(question).toMatchObject({ model: "llama-3.1-8b", max_tokens: 100, temperature: 0.1 })
    expect(server.asked[0]?.headers.authorization).toBe("Bearer key-of-the-model-server")

    expect((await upload(url, "audio", recording())).body.content_for_validation.transcript).toBe(COMPLAINT)
    const heard = server.asked.find(({ path }) => path === "/v1/audio/transcriptions")
    expect(heard?.body).toContain('name="model"\r\n\r\nwhisper-1')
    expect(heard?.body).toContain('filename="audio.wav"')
    expect((await upload(url, "image", letter)).body.content_for_validation.transcript).toBe(COMPLAINT)
    const seen = JSON.parse(server.asked.at(-1)?.body ?? "")
    expect(seen.model).toBe("a-model-that-sees")
    expect(seen.messages[0].content[1].image_url.url).toMatch(/^data:image\/png;base64,iVBOR/)
  })

  it("that says something else than was agreed on is a 503", async () => {
    const server = await models(() => ({ json: { choices: [] } }))
    const { url } = await serve({ MODEL_SERVER_URL: server.url, MODEL_SERVER_API: "openai" })
    const opened = await post(`${url}/process`, { text: COMPLAINT })
    const failed = await approve(url, opened.body.session_id)
    expect(failed.status).toBe(503)
    expect(failed.body.detail).toContain("form")
  })
})

describe("a server as the guide has it", () => {
  it("is sent files as forms, and told how long there is for an answer", async () => {
    const server = await models(({ path }) =>
      path === "/ocr"
        ? { json: { success: true, extracted_text: COMPLAINT } }
        : path === "/asr"
          ? { json: { success: true, transcript: COMPLAINT } }
          : { json: { status: "healthy", models_loaded: {}, message: "well" } }
    )
    const { url } = await serve({ ASR_OCR_SERVER_URL: server.url })
    expect((await upload(url, "image", letter)).body.content_for_validation).toMatchObject({
      transcript: COMPLAINT,
      source: "image"
    })
    expect((await upload(url, "audio", recording())).body.content_for_validation.source).toBe("audio")
    const [ocr, asr] = server.asked
    expect(ocr?.body).toContain('name="image"; filename="image.png"')
    expect(asr?.body).toContain('name="audio"; filename="audio.wav"')
    // 120 and 180 seconds, of which some milliseconds have gone.
    expect(ocr?.headers["grpc-timeout"]).toMatch(/^1[12]\d/)
    expect(asr?.headers["x-request-deadline"]).toBeDefined()
    expect((await get(`${url}/health`)).body.asr_ocr_server).toEqual({ status: "healthy", message: "well" })
  })

  it("has a breaker of its own: while it rests, questions are still asked", async () => {
    const server = await models(() => ({ status: 500, json: {} }))
    const { url } = await serve({ ASR_OCR_SERVER_URL: server.url, BREAKER_FAILURES: "2" })
    expect((await upload(url, "audio", recording())).status).toBe(503)
    const { body } = await get(`${url}/reliability`)
    expect(body.asr_ocr_server.breaker).not.toBe("closed")
    expect(body.model_server.breaker).toBe("closed")
    const opened = await post(`${url}/process`, { text: COMPLAINT })
    expect((await approve(url, opened.body.session_id)).status).toBe(200)
  })

  it("that does not answer a clause check in time leaves the section in the report, unchecked", async () => {
    let checks = 0
    const server = await models(({ body }) => {
      if (body.includes("Task: clause check")) {
        checks++
        return new Promise(() => {})
      }
      return { json: { result: "Two men snatched my mobile phone near Moolchand, New Delhi." } }
    })
    const { url } = await serve({
      MODEL_SERVER_URL: server.url,
      CLAUSE_CHECK_TIMEOUT_SECONDS: "1",
      BREAKER_FAILURES: "100"
    })
    const opened = await post(`${url}/process`, { text: COMPLAINT })
    await approve(url, opened.body.session_id)
    const { body } = await approve(url, opened.body.session_id)
    expect(body.current_step).toBe("violations_review")
    expect(body.content.considered).toEqual([])
    expect(body.content.violations).toHaveLength(checks)
    expect(new Set(body.content.violations.map(({ status }: { status: string }) => status))).toEqual(
      new Set(["unchecked"])
    )
  })

  it("is sent a second copy of a question that takes long, only where that is asked for", async () => {
    let copies = 0
    const server = await models(() => {
      copies++
      // The first copy is never answered: whoever waits for it alone gets nothing.
      return copies === 1 ? new Promise(() => {}) : { json: { result: "A summary." } }
    })
    const { url } = await serve({ MODEL_SERVER_URL: server.url, HEDGE_AFTER_SECONDS: "1" })
    const opened = await post(`${url}/process`, { text: COMPLAINT })
    expect((await approve(url, opened.body.session_id)).body.content.summary).toBe("A summary.")
    expect(copies).toBe(2)
  })
})
