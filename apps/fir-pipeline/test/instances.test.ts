// Two servers behind nginx, with one database and one Redis.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import { watch } from "./support/events.ts"
import { type ModelServer, startModels } from "./support/models.ts"
import { type Mysql, absent as noMysql, startMysql } from "./support/mysql.ts"
import { absent as noProxy, type Running as Proxy, startNginx, startRedis } from "./support/proxy.ts"
import { get, post, type Reply, type Running, start, stop } from "./support/server.ts"

const absent = noMysql ?? noProxy
const complaints = Complaints.load()
const MODEL_CALLS = 4
const REQUESTS = 400

let mysql: Mysql
let redis: Proxy
let models: ModelServer
let nginx: Proxy
let one: Running
let other: Running
let working = 0
let mostWorking = 0

const host = ({ url }: Running): string => new URL(url).host

/** Asks under one key until it is answered by something else than "not now". */
const insist = async (path: string, body: unknown, key: string): Promise<Reply> => {
  for (;;) {
    const reply = await post(`${nginx.url}${path}`, body, { "idempotency-key": key }).catch(() => undefined)
    if (reply !== undefined && ![409, 502, 503, 504].includes(reply.status)) return reply
  }
}

const report = async (text: string, index: number) => {
  const opened = await insist("/process", { text }, `open-${index}`)
  const session_id: string = opened.body.session_id
  let last = opened
  while (last.body.completed !== true) {
    const { current_step } = last.body
    last = await insist("/validate", { session_id, approved: true, current_step }, `answer-${current_step}`)
    expect(last.status).toBe(200)
  }
  return { session_id, number: last.body.content.fir_number as string }
}

describe.skipIf(absent !== undefined)(
  `two servers behind nginx${absent === undefined ? "" : ` (skipped: ${absent})`}`,
  () => {
    beforeAll(async () => {
      mysql = await startMysql()
      redis = await startRedis()
      models = await startModels(async ({ path }) => {
        if (path !== "/inference") return { json: { status: "healthy" } }
        mostWorking = Math.max(mostWorking, ++working)
        await new Promise((resolve) => setTimeout(resolve, 5))
        working--
        return { json: { result: "YES" } }
      })
      const environment = {
        ...(await mysql.database("shared")),
        REDIS_URL: redis.url,
        MODEL_SERVER_URL: models.url,
        MAX_CONCURRENT_MODEL_CALLS: String(MODEL_CALLS),
        RATE_LIMIT_REQUESTS: String(REQUESTS),
        RATE_LIMIT_WINDOW: "3600",
        // Deno keeps idle connections open while it drains; what is left to drain here is nothing.
        DRAIN_SECONDS: "2",
        TRUST_FORWARDED_HEADERS: "1",
        TRUSTED_PROXY_IPS: "127.0.0.1"
      }
      const started = await Promise.all([start("serve", environment), start("serve", environment)])
      one = started[0]
      other = started[1]
      nginx = await startNginx([host(one), host(other)])
    })
    afterAll(async () => {
      await nginx.stop()
      await Promise.all([stop(one), stop(other)])
      await models.close()
      await redis.stop()
      await mysql.remove()
    })

    it("serve any session from either, and tell of it from either while the other works", async () => {
      const { body } = await post(`${one.url}/process`, { text: complaints[0]?.text })
      const session_id = body.session_id
      const events = await watch(`${nginx.url}/session/${session_id}/events`)
      expect(await events.next()).toMatchObject({ current_step: "transcript_review" })
      for (const server of [one, other, one, other, one]) {
        expect((await post(`${server.url}/validate`, { session_id, approved: true })).status).toBe(200)
      }
      let last: unknown
      for (let event = await events.next(); event !== undefined; event = await events.next()) last = event
      expect(last).toMatchObject({ status: "completed" })
      expect((await get(`${other.url}/session/${session_id}/status`)).body.validation_history).toHaveLength(6)
    })

    it("come to one outcome when a step is approved at both at once, and ask the models once", async () => {
      const { body } = await post(`${one.url}/process`, { text: complaints[1]?.text })
      const before = models.asked.length
      const replies = await Promise.all(
        [one, other, one, other, one, other].map(({ url }) =>
          post(`${url}/validate`, { session_id: body.session_id, approved: true, current_step: "transcript_review" })
        )
      )
      const good = replies.filter(({ status }) => status === 200)
      expect(good.length).toBeGreaterThan(0)
      expect(new Set(good.map(({ body }) => JSON.stringify(body))).size).toBe(1)
      expect(replies.filter(({ status }) => status !== 200 && status !== 409)).toEqual([])
      expect(models.asked.slice(before).filter(({ path }) => path === "/inference")).toHaveLength(1)
    })

    it("make no more model calls at once than both together may, and number every report once", async () => {
      mostWorking = 0
      const done = await Promise.all(complaints.slice(2, 14).map(({ text }, index) => report(text, index)))
      expect(new Set(done.map(({ number }) => number)).size).toBe(done.length)
      expect(mostWorking).toBeGreaterThan(1)
      expect(mostWorking).toBeLessThanOrEqual(MODEL_CALLS)
    })

    it("count a client's requests together", async () => {
      const from = { "x-forwarded-for": "203.0.113.7" }
      const ask = ({ url }: Running) => get(`${url}/reliability`, from)
      const replies = await Promise.all(
        Array.from({ length: REQUESTS + 20 }, (_, index) => ask(index % 2 === 0 ? one : other))
      )
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(REQUESTS)
      const refused = replies.find(({ status }) => status === 429)
      expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0)
      expect((await get(`${one.url}/reliability`, { "x-forwarded-for": "203.0.113.8" })).status).toBe(200)
    })

    it("lose nothing when one of them is killed under load: the other goes on with its sessions", async () => {
      const reports = Promise.all(complaints.slice(14, 24).map(({ text }, index) => report(text, 100 + index)))
      while (working < 2) await get(`${other.url}/live`)
      await stop(one, "SIGKILL")
      const done = await reports
      expect(new Set(done.map(({ number }) => number)).size).toBe(done.length)
      for (const { session_id } of done) {
        const { body } = await get(`${other.url}/session/${session_id}/status`)
        expect(body.status).toBe("completed")
        expect(body.validation_history).toHaveLength(6)
      }
    }, 60_000)
  }
)
