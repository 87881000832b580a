// What a page is told while it waits.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import { watch } from "./support/events.ts"
import { type ModelServer, startModels } from "./support/models.ts"
import { get, post, type Running, start, stop } from "./support/server.ts"

const [complaint] = Complaints.load()
/** Questions that are held back until they are let go. */
const held: Array<() => void> = []
let holding = false
let models: ModelServer
let server: Running

beforeAll(async () => {
  models = await startModels(async () => {
    if (holding) await new Promise<void>((resolve) => held.push(resolve))
    return { json: { result: "YES" } }
  })
  server = await start("serve", {
    DATABASE_PATH: ":memory:",
    MODEL_SERVER_URL: models.url,
    MAX_CONCURRENT_REQUESTS: "1",
    MAX_WAITING_REQUESTS: "2"
  })
})
afterAll(async () => {
  await stop(server)
  await models.close()
})

const open = async (text = complaint?.text): Promise<string> =>
  (await post(`${server.url}/process`, { text })).body.session_id
const approve = (session_id: string) => post(`${server.url}/validate`, { session_id, approved: true })
const letGo = () => {
  holding = false
  for (const go of held.splice(0)) go()
}

describe("whoever watches a session", () => {
  it("is told of each step as it arrives, with what it holds, until it is complete", async () => {
    const session_id = await open()
    const events = await watch(`${server.url}/session/${session_id}/events`)
    expect(await events.next()).toMatchObject({ status: "awaiting_validation", current_step: "transcript_review" })
    for (const step of ["summary_review", "violations_review", "fir_narrative_review", "final_review"]) {
      const { body } = await approve(session_id)
      for (;;) {
        const event = await events.next()
        if (event.status === "processing") continue
        expect(event).toMatchObject({ current_step: step, content: body.content })
        break
      }
    }
    await approve(session_id)
    let last: unknown
    for (let event = await events.next(); event !== undefined; event = await events.next()) last = event
    expect(last).toMatchObject({ status: "completed", current_step: "completed" })
  })

  it("sees its place in the line, and what is beyond the line is refused with the time to stay away", async () => {
    holding = true
    const [working, first, second, refused] = [
      await open("a".repeat(20)),
      await open("b".repeat(20)),
      await open("c".repeat(20)),
      await open("d".repeat(20))
    ]
    const events = await watch(`${server.url}/session/${second}/events`)
    expect((await events.next()).place).toBeNull()
    const place = async (id: string) => (await get(`${server.url}/session/${id}/status`)).body.place
    const until = async (id: string, wanted: number) => {
      while ((await place(id)) !== wanted);
    }
    const answers = [approve(working)]
    while (held.length === 0) await get(`${server.url}/live`)
    answers.push(approve(first))
    await until(first, 1)
    answers.push(approve(second))
    await until(second, 2)
    expect(await events.next()).toMatchObject({ status: "processing", place: 2 })
    const full = await approve(refused)
    expect(full.status).toBe(503)
    expect(Number(full.headers.get("retry-after"))).toBeGreaterThan(0)
    letGo()
    for (const { status } of await Promise.all(answers)) expect(status).toBe(200)
    for (;;) {
      const event = await events.next()
      if (event.current_step === "summary_review" && event.status === "awaiting_validation") break
    }
    events.close()
  })

  it("is told that there is no such session", async () => {
    expect((await get(`${server.url}/session/none/events`)).status).toBe(404)
  })

  it("is let go when the server ends, which does not wait for it", async () => {
    const other = await start("serve", { DATABASE_PATH: ":memory:", MODEL_SERVER_URL: models.url })
    const { body } = await post(`${other.url}/process`, { text: complaint?.text })
    const events = await watch(`${other.url}/session/${body.session_id}/events`)
    await events.next()
    const ended = stop(other)
    expect(await events.next()).toBeUndefined()
    await ended
    expect(other.log()).toContain("stopped")
  })
})

describe("a complaint that is submitted again", () => {
  it("is taken, and told to be known", async () => {
    const text = "My bicycle was stolen at Gandhi Market in Pune."
    const first = await post(`${server.url}/process`, { text })
    expect(first.body.duplicate_of).toBeUndefined()
    const second = await post(`${server.url}/process`, { text: `  ${text.replace(" at ", "\nat ")}` })
    expect(second.status).toBe(200)
    expect(second.body.duplicate_of).toMatchObject({ session_id: first.body.session_id, fir_number: null })
  })
})
