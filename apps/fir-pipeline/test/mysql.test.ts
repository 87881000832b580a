// The whole app on MySQL, which is killed under load together with the app.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import { absent, type Mysql, startMysql } from "./support/mysql.ts"
import { get, post, type Reply, type Running, start, stop } from "./support/server.ts"

const complaints = Complaints.load().slice(0, 12)
let mysql: Mysql
let models: Running

/** Settles when the app is there again. */
let back: Promise<unknown> = Promise.resolve()

/** Asks until it is answered by something else than "not now", whoever has been killed meanwhile. */
const insist = async (ask: () => Promise<Reply>): Promise<Reply> => {
  for (;;) {
    await back
    const reply = await ask().catch(() => undefined)
    if (reply !== undefined && reply.status !== 503 && reply.status !== 409) return reply
  }
}

describe.skipIf(absent !== undefined)(`the app on MySQL${absent === undefined ? "" : ` (skipped: ${absent})`}`, () => {
  beforeAll(async () => {
    mysql = await startMysql()
    models = await start("model-server", { MODEL_LATENCY: "fast" })
  })
  afterAll(async () => {
    await stop(models)
    await mysql.remove()
  })

  it("loses no report and gives no number twice when the database and the app are killed under load", async () => {
    const environment = {
      ...(await mysql.database("killed")),
      MODEL_SERVER_URL: models.url,
      RATE_LIMIT_REQUESTS: "1000000"
    }
    let server = await start("serve", environment)
    expect(server.log()).toContain("killed on 127.0.0.1")
    const report = async ({ text }: Complaints.Complaint, index: number) => {
      const opened = await insist(() => post(`${server.url}/process`, { text }, { "idempotency-key": `open-${index}` }))
      const session_id = opened.body.session_id
      let last = opened
      const steps = [opened.body.current_step]
      while (last.body.completed !== true) {
        const current_step = last.body.current_step
        last = await insist(() =>
          post(
            `${server.url}/validate`,
            { session_id, approved: true, current_step },
            { "idempotency-key": `answer-${current_step}` }
          )
        )
        expect(last.status).toBe(200)
        steps.push(last.body.current_step)
      }
      return { session_id, steps, number: last.body.content.fir_number as string }
    }
    const reports = Promise.all(complaints.map(report))
    // Each blow falls when the work has come so far, not at a time.
    const completed = async (least: number) => {
      for (;;) {
        const { body } = await insist(() => get(`${server.url}/list_firs?limit=100`))
        if (body.total_count >= least) return
      }
    }
    await completed(1)
    await mysql.kill()
    await mysql.start()
    await completed(4)
    back = stop(server, "SIGKILL").then(async () => {
      server = await start("serve", { ...environment, PORT: new URL(server.url).port })
    })
    const done = await reports
    expect(new Set(done.map(({ number }) => number)).size).toBe(complaints.length)
    for (const { number, session_id, steps } of done) {
      expect(new Set(steps).size).toBe(6)
      const { body } = await get(`${server.url}/session/${session_id}/status`)
      expect(body.status).toBe("completed")
      expect(body.validation_history).toHaveLength(6)
      expect((await get(`${server.url}/fir/${number}`)).status).toBe(200)
    }
    expect((await get(`${server.url}/list_firs`)).body.total_count).toBe(complaints.length)
    await stop(server)
  })
})
