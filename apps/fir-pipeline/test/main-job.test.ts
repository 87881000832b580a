import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import { get, post, type Reply, type Running, start, stop, temporaryFolder } from "./support/server.ts"

const complaints = Complaints.load()
const folder = temporaryFolder()
let server: Running

beforeAll(async () => {
  server = await start("serve", { DATABASE_PATH: `${folder.path}/fir.sqlite`, FIR_AUTH_KEY: "station-house-key" })
})
afterAll(async () => {
  await stop(server)
  folder.remove()
})

const approve = (session_id: string): Promise<Reply> => post(`${server.url}/validate`, { session_id, approved: true })

const report = async (complaint: Complaints.Complaint) => {
  const opened = await post(`${server.url}/process`, { text: complaint.text })
  expect(opened.status).toBe(200)
  const steps: Array<Reply> = []
  for (let step = 0; step < 5; step++) steps.push(await approve(opened.body.session_id))
  return { sessionId: opened.body.session_id as string, steps, last: steps.at(-1)?.body }
}

describe("twenty-four complaints at once", () => {
  it("become reports that say who, where and which sections", async () => {
    const done = await Promise.all(complaints.map(report))
    for (const [index, { last, steps }] of done.entries()) {
      const expected = complaints[index]?.expect
      expect(steps.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
      expect(last.completed).toBe(true)
      const { body } = await get(`${server.url}/fir/${last.content.fir_number}`)
      expect(body.fir_content).toContain(`Name: ${expected?.complainant}\n`)
      expect(body.fir_content).toMatch(new RegExp(`Place: .*${expected?.place}`))
      const sections = [...body.fir_content.matchAll(/^ {3}BNS (\S+):/gm)].map(([, section]) => section)
      expect(sections.sort()).toEqual([...(expected?.sections ?? [])].sort())
      expect(last.content.unsupported_statements).toEqual([])
    }
    expect(new Set(done.map(({ last }) => last.content.fir_number)).size).toBe(complaints.length)
    const { body } = await get(`${server.url}/metrics`)
    expect(body.sessions.recent_hour).toMatchObject([{ status: "completed", count: complaints.length }])
  })
})

describe("a report", () => {
  it("passes through five steps, each with its content, and its history says who did what", async () => {
    const [complaint] = complaints
    const { last, sessionId, steps } = await report(complaint as Complaints.Complaint)
    expect(steps.map(({ body }) => body.current_step)).toEqual([
      "summary_review",
      "violations_review",
      "fir_narrative_review",
      "final_review",
      "completed"
    ])
    expect(steps[0]?.body.content).toMatchObject({ original_transcript: complaint?.text })
    expect(steps[1]?.body.content.violations[0]).toMatchObject({ section: "304(2)", status: "confirmed" })
    expect(steps[2]?.body.content.fir_narrative).toContain("Ananya Sharma")
    expect(steps[3]?.body.content.fir_number).toMatch(new RegExp(`^FIR-${sessionId.slice(0, 8)}-\\d{14}$`))
    // The officer approved the narrative: the report carries that text, and no other.
    expect(last.content.fir_content).toContain(steps[2]?.body.content.fir_narrative)
    const status = await get(`${server.url}/session/${sessionId}/status`)
    expect(status.body.status).toBe("completed")
    expect(status.body.validation_history.map(({ action }: { action: string }) => action)).toEqual([
      "submit",
      "approve",
      "approve",
      "approve",
      "approve",
      "approve"
    ])
  })

  it("shows as missing what the complaint does not say, and takes it from the officer", async () => {
    const text = "Somebody stole my bicycle from the market yesterday evening while I was buying vegetables."
    const opened = await post(`${server.url}/process`, { text })
    const session_id = opened.body.session_id
    expect(opened.body.content_for_validation.missing).toEqual([
      "complainantName",
      "fatherOrHusband",
      "address",
      "contact",
      "place"
    ])
    await post(`${server.url}/validate`, {
      session_id,
      approved: true,
      user_input: "Name: Ravi Shankar\nPlace: Gandhi Market, Pune"
    })
    for (let step = 0; step < 3; step++) await approve(session_id)
    const { body } = await approve(session_id)
    expect(body.content.fir_content).toContain("Name: Ravi Shankar")
    expect(body.content.fir_content).toContain("Place: Gandhi Market, Pune")
    expect(body.content.fir_content).toContain("Contact: [MISSING]")
    expect(body.content.fir_content).toContain("TO BE SUPPLIED BEFORE SIGNING: fatherOrHusband, address, contact")
  })

  it("says what the officer made of it: sections added and left out, another narrative, a late correction", async () => {
    const opened = await post(`${server.url}/process`, { text: complaints[3]?.text })
    const session_id = opened.body.session_id
    const answer = (user_input: string) => post(`${server.url}/validate`, { session_id, approved: true, user_input })
    await approve(session_id)
    await approve(session_id)
    const unknown = await answer("Add section: 999")
    expect(unknown).toMatchObject({ status: 422, body: { detail: "The table of offences has no section 999" } })
    await answer("Remove section: 352\nAdd section: 126(2), 351(3)")
    await answer("Narrative: He struck me with a rod.")
    const { body } = await answer("Contact: 9000000009")
    const sections = [...body.content.fir_content.matchAll(/^ {3}BNS (\S+):/gm)].map(([, section]) => section)
    expect(sections.sort()).toEqual(["118(1)", "126(2)", "351(3)"])
    expect(body.content.fir_content).toContain("Description: He struck me with a rod.")
    expect(body.content.fir_content).toContain("Contact: 9000000009")
    const stored = await get(`${server.url}/fir/${body.content.fir_number}`)
    expect(stored.body.fir_content).toBe(body.content.fir_content)
  })

  it("stays at its step when rejected, and makes it again when asked", async () => {
    const opened = await post(`${server.url}/process`, { text: complaints[1]?.text })
    const session_id = opened.body.session_id
    await approve(session_id)
    const rejected = await post(`${server.url}/validate`, { session_id, approved: false })
    expect(rejected.body).toMatchObject({ current_step: "summary_review", requires_validation: true, completed: false })
    const again = await post(`${server.url}/regenerate/${session_id}`, {
      step: "summary_review",
      user_input: "Place: Sector 22, Chandigarh"
    })
    expect(again.body).toMatchObject({ step: "summary_review", success: true })
    expect(again.body.content.summary).toContain("Sector 22, Chandigarh")
    const late = await post(`${server.url}/regenerate/${session_id}`, { step: "transcript_review" })
    expect(late.status).toBe(409)
  })

  it("is final once the key is given, and not before it is approved", async () => {
    const opened = await post(`${server.url}/process`, { text: complaints[2]?.text })
    const session_id = opened.body.session_id
    let last = opened
    for (let step = 0; step < 4; step++) last = await approve(session_id)
    const fir_number = last.body.content.fir_number
    const finalise = (auth_key: string) => post(`${server.url}/authenticate`, { fir_number, auth_key })
    expect((await finalise("station-house-key")).status).toBe(409)
    await approve(session_id)
    expect((await finalise("another-key-altogether")).status).toBe(401)
    expect((await get(`${server.url}/fir/${fir_number}`)).body.status).toBe("pending")
    expect(await finalise("station-house-key")).toMatchObject({ status: 200, body: { success: true, fir_number } })
    const fir = await get(`${server.url}/fir/${fir_number}/content`)
    expect(fir.body.status).toBe("finalized")
    expect((await finalise("station-house-key")).status).toBe(200)
    expect((await get(`${server.url}/fir/${fir_number}`)).body.finalized_at).toBe(fir.body.finalized_at)
  })
})

describe("answers that cross", () => {
  it("have one outcome when approved ten times at once", async () => {
    const opened = await post(`${server.url}/process`, { text: complaints[3]?.text })
    const session_id = opened.body.session_id
    for (const step of ["transcript_review", "summary_review", "violations_review", "fir_narrative_review"]) {
      const replies = await Promise.all(
        Array.from({ length: 10 }, () =>
          post(`${server.url}/validate`, { session_id, approved: true, current_step: step })
        )
      )
      const good = replies.filter(({ status }) => status === 200)
      expect(good.length).toBeGreaterThan(0)
      expect(new Set(good.map(({ body }) => JSON.stringify(body))).size).toBe(1)
      expect(replies.filter(({ status }) => status !== 200 && status !== 409)).toEqual([])
    }
    const { body } = await get(`${server.url}/session/${session_id}/status`)
    expect(body.current_step).toBe("final_review")
    expect(body.validation_history).toHaveLength(5)
  })

  it("get the same answer again under one Idempotency-Key", async () => {
    const headers = { "idempotency-key": "a-phone-that-lost-the-answer" }
    const first = await post(`${server.url}/process`, { text: complaints[4]?.text }, headers)
    const second = await post(`${server.url}/process`, { text: complaints[4]?.text }, headers)
    expect(second.body).toEqual(first.body)
    const other = await post(`${server.url}/process`, { text: complaints[5]?.text }, headers)
    expect(other.status).toBe(409)
    const session_id = first.body.session_id
    const answers = [
      await post(`${server.url}/validate`, { session_id, approved: true }, headers),
      await post(`${server.url}/validate`, { session_id, approved: true }, headers)
    ]
    expect(answers[1]?.body).toEqual(answers[0]?.body)
    expect(answers[1]?.body.current_step).toBe("summary_review")
  })
})

describe("the lists", () => {
  it("page through every report once, newest first", async () => {
    const seen: Array<string> = []
    let cursor: string | null = ""
    while (cursor !== null) {
      const { body }: Reply = await get(`${server.url}/list_firs?limit=7${cursor === "" ? "" : `&cursor=${cursor}`}`)
      seen.push(...body.items.map(({ fir_number }: { fir_number: string }) => fir_number))
      expect(body.has_more).toBe(body.next_cursor !== null)
      cursor = body.next_cursor
      if (cursor === null) expect(seen).toHaveLength(body.total_count)
    }
    expect(new Set(seen).size).toBe(seen.length)
  })

  it("are documented for people and machines", async () => {
    const { body } = await get(`${server.url}/openapi.json`)
    expect(Object.keys(body.paths)).toEqual(
      expect.arrayContaining([
        "/process",
        "/validate",
        "/session/{id}/status",
        "/health",
        "/list_firs",
        "/authenticate"
      ])
    )
    expect((await get(`${server.url}/docs`)).type).toContain("text/html")
  })
})
