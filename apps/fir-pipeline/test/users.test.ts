// Who may do what, and whose name is in the history.
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import { identifier, newUser, within } from "../src/Users.ts"
import { finish, get, launch, post, type Running, start, stop, temporaryFolder } from "./support/server.ts"

const folder = temporaryFolder()
const officer = newUser("Sub-Inspector Meera Rao", "officer")
const head = newUser("Inspector Arjun Singh", "head")
const admin = newUser("Control Room", "admin")
const file = `${folder.path}/users.json`
const as = ({ key }: { readonly key: string }) => ({ "x-api-key": key })
const FINAL = "station-house-key"
let server: Running

beforeAll(async () => {
  writeFileSync(file, JSON.stringify([officer.user, head.user, admin.user]))
  server = await start("serve", { DATABASE_PATH: ":memory:", USERS_FILE: file, FIR_AUTH_KEY: FINAL })
})
afterAll(async () => {
  await stop(server)
  folder.remove()
})

describe("users with keys of their own", () => {
  it("are told apart, and each is named in the history of what he did", async () => {
    const opened = await post(`${server.url}/process`, { text: Complaints.load()[0]?.text }, as(officer))
    const session_id = opened.body.session_id
    let last = opened
    for (let step = 0; step < 5; step++) {
      last = await post(`${server.url}/validate`, { session_id, approved: true }, as(step < 4 ? officer : head))
    }
    const { fir_number } = last.body.content
    const final = (who: typeof head) => post(`${server.url}/authenticate`, { fir_number, auth_key: FINAL }, as(who))
    const refused = await final(officer)
    expect(refused.status).toBe(403)
    expect(refused.body.detail).toContain("needs the role head; yours is officer")
    expect((await final(head)).status).toBe(200)
    const { body } = await get(`${server.url}/session/${session_id}/status`, as(officer))
    const done = body.validation_history.map(({ action, by }: { action: string; by: string }) => `${action} ${by}`)
    expect(done).toEqual([
      "submit Sub-Inspector Meera Rao",
      ...Array.from({ length: 4 }, () => "approve Sub-Inspector Meera Rao"),
      "approve Inspector Arjun Singh",
      "finalise Inspector Arjun Singh"
    ])
  })

  it("may ask the models again at once only as admins", async () => {
    const reset = (who: typeof head) => post(`${server.url}/reliability/reset`, {}, as(who))
    expect((await reset(head)).status).toBe(403)
    expect((await reset(admin)).status).toBe(200)
  })

  it("and nobody else is let in, by whatever name or key", async () => {
    expect((await get(`${server.url}/list_firs`)).status).toBe(401)
    expect((await get(`${server.url}/list_firs`, { "x-api-key": head.user.key_sha256 })).status).toBe(401)
    expect((await get(`${server.url}/list_firs`, { "x-remote-user": "Inspector Arjun Singh" })).status).toBe(401)
    expect((await get(`${server.url}/list_firs`, { authorization: `Bearer ${head.key}` })).status).toBe(200)
    for (const open of ["/health", "/live", "/ready", "/openapi.json"]) {
      expect((await get(`${server.url}${open}`)).status).toBe(200)
    }
  })
})

describe("users that a proxy has asked for their names", () => {
  it("are believed from a trusted address, with the role that it tells", async () => {
    const behind = await start("serve", {
      DATABASE_PATH: ":memory:",
      USER_HEADER: "X-Remote-User",
      TRUSTED_PROXY_IPS: "127.0.0.0/8"
    })
    const named = { "x-remote-user": "Meera Rao" }
    const opened = await post(`${behind.url}/process`, { text: Complaints.load()[0]?.text }, named)
    const { body } = await get(`${behind.url}/session/${opened.body.session_id}/status`, named)
    expect(body.validation_history[0].by).toBe("Meera Rao")
    expect((await post(`${behind.url}/reliability/reset`, {}, named)).status).toBe(403)
    expect((await post(`${behind.url}/reliability/reset`, {}, { ...named, "x-remote-role": "admin" })).status).toBe(200)
    expect((await get(`${behind.url}/list_firs`, { ...named, "x-remote-role": "king" })).status).toBe(401)
    expect((await get(`${behind.url}/list_firs`)).status).toBe(401)
    await stop(behind)
  })

  it("are not believed from any other address", () => {
    const identify = identifier({
      apiKey: undefined,
      users: [],
      trusted: ["10.0.0.0/8", "2001:db8::/32"],
      userHeader: "x-remote-user",
      roleHeader: "x-remote-role"
    })
    const from = (peer: string | undefined) => identify({ key: "", peer, headers: { "x-remote-user": "Meera Rao" } })
    expect(from("10.1.2.3")?.name).toBe("Meera Rao")
    expect(from("::ffff:10.1.2.3")?.name).toBe("Meera Rao")
    expect(from("2001:db8::7")?.name).toBe("Meera Rao")
    expect(from("11.1.2.3")).toBeUndefined()
    expect(from("2001:db9::7")).toBeUndefined()
    expect(from(undefined)).toBeUndefined()
    expect(within([])("10.1.2.3")).toBe(false)
  })
})

describe("the settings of users", () => {
  it("are refused by name when the file is bad, or when anyone could name himself", async () => {
    const bad = `${folder.path}/bad.json`
    writeFileSync(bad, JSON.stringify([{ name: "Meera", role: "king", key_sha256: "00" }]))
    const { code, stderr } = await finish(
      launch("serve", { USERS_FILE: bad, USER_HEADER: "x-remote-user", TRUSTED_PROXY_IPS: "" })
    )
    expect(code).toBe(1)
    expect(stderr).toContain("Cannot use USERS_FILE=")
    expect(stderr).toContain("Cannot use USER_HEADER=")
    const other = await finish(launch("serve", { TRUSTED_PROXY_IPS: "10.0.0.0/99", REDIS_URL: "http://x" }))
    expect(other.stderr).toContain('Cannot use TRUSTED_PROXY_IPS="10.0.0.0/99"')
    expect(other.stderr).toContain('Cannot use REDIS_URL="http://x"')
  })

  it("are made by a command that shows the key once and keeps only its digest", async () => {
    const child = launch("user-key")
    expect((await finish(child)).code).toBe(1)
    const main = new URL("../src/main.ts", import.meta.url).pathname
    const runtime = "Deno" in globalThis ? ["run", "-A"] : []
    const output = execFileSync(process.execPath, [...runtime, main, "user-key", "head", "Arjun", "Singh"], {
      encoding: "utf8"
    })
    const key = /^key for Arjun Singh: (\S{32})$/m.exec(output)?.[1]
    const user = JSON.parse(/^line for USERS_FILE: (.*)$/m.exec(output)?.[1] ?? "")
    const identify = identifier({
      apiKey: undefined,
      users: [user],
      trusted: [],
      userHeader: undefined,
      roleHeader: "x-remote-role"
    })
    expect(identify({ key: key ?? "", peer: undefined, headers: {} })).toEqual({ name: "Arjun Singh", role: "head" })
  })
})
