import type { IncomingMessage, ServerResponse } from "node:http"
import { createPool, PoolError } from "@sluice/promise/pool"
import { describe, expect, it } from "vitest"
import { listen } from "./servers.ts"
import { deferred, outcome } from "./turns.ts"

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const chunk of request) text += String(chunk)
  return text
}

const echo = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { headers, method, url } = request
  const body = await bodyOf(request)
  response.setHeader("content-type", "application/json")
  response.setHeader("set-cookie", ["a=1", "b=2"])
  response.end(JSON.stringify({ method, url, body, type: headers["content-type"], key: headers["x-key"] }))
}

describe("createPool", () => {
  it("sends and answers as fetch does", async () => {
    await using server = await listen((request, response) => void echo(request, response))
    await using pool = await createPool()
    const got = await pool.fetch(`${server.url}/path?q=1`, { headers: { "x-key": "k" } })
    expect(got).toMatchObject({ status: 200, ok: true, url: `${server.url}/path?q=1`, redirected: false })
    expect(got.headers.get("content-type")).toBe("application/json")
    expect(got.headers.getSetCookie()).toEqual(["a=1", "b=2"])
    expect(await got.json()).toMatchObject({ method: "GET", url: "/path?q=1", body: "", key: "k" })
    const posted = await pool.fetch(new URL("/post", server.url), { method: "POST", body: "text" })
    expect(await posted.json()).toMatchObject({ method: "POST", body: "text", type: "text/plain;charset=UTF-8" })
    const bytes = await pool.fetch(server.url, { method: "put", body: new TextEncoder().encode("bytes") })
    expect(await bytes.json()).toMatchObject({ method: "PUT", body: "bytes" })
    const form = await pool.fetch(server.url, { method: "POST", body: new URLSearchParams({ a: "1" }) })
    expect(await form.json()).toMatchObject({ body: "a=1", type: "application/x-www-form-urlencoded;charset=UTF-8" })
    const request = new Request(`${server.url}/request`, { method: "POST", body: "whole", headers: { "x-key": "r" } })
    expect(await (await pool.fetch(request)).json()).toMatchObject({ url: "/request", body: "whole", key: "r" })
  })

  it("keeps its connections, and closes them with its block", async () => {
    await using server = await listen((request, response) => void echo(request, response))
    {
      await using pool = await createPool({ maxConnections: 2 })
      for (let n = 0; n < 5; n++) await (await pool.fetch(server.url)).text()
      expect(pool.stats()).toMatchObject({ capacity: 2, created: 1, reused: 4, inFlight: 0, idle: 1 })
      expect(pool.stats().origins.map(({ origin }) => origin)).toEqual([server.url])
      await (await pool.isolated(server.url)).text()
      expect(pool.stats().created).toBe(2)
    }
    await expect.poll(() => server.sockets.size).toBe(0)
  })

  it("holds a permit until the body is read, cancelled or aborted", async () => {
    const big = "x".repeat(1_000_000)
    await using server = await listen((_, response) => void response.end(big))
    await using pool = await createPool({ maxConnections: 1 })
    const first = await pool.fetch(server.url)
    const second = pool.fetch(server.url)
    expect(pool.stats()).toMatchObject({ inFlight: 1, waiting: 1 })
    await first.body?.cancel()
    expect((await (await second).text()).length).toBe(big.length)
    const controller = new AbortController()
    const third = await pool.fetch(server.url, { signal: controller.signal })
    const reading = outcome(third.text())
    controller.abort("enough")
    expect(await reading).toEqual({ error: "enough" })
    expect((await (await pool.fetch(server.url)).text()).length).toBe(big.length)
  })

  it("gives up waiting by its signal, with the signal's reason", async () => {
    const holding = deferred()
    await using server = await listen((_, response) => void holding.promise.then(() => response.end("late")))
    await using pool = await createPool({ maxConnections: 1 })
    const first = pool.fetch(server.url)
    const controller = new AbortController()
    const waiting = outcome(pool.fetch(server.url, { signal: controller.signal }))
    await expect.poll(() => pool.stats().waiting).toBe(1)
    controller.abort("enough")
    expect(await waiting).toEqual({ error: "enough" })
    expect(pool.stats().waiting).toBe(0)
    holding.resolve()
    expect(await (await first).text()).toBe("late")
    await expect(pool.fetch(server.url, { signal: controller.signal })).rejects.toBe("enough")
  })

  it("fails with what happened, and whether the server may know of it", async () => {
    await using server = await listen((request) => request.socket.destroy())
    await using pool = await createPool({ poolTimeout: 100, maxConnections: 1 })
    const reset = await pool.fetch(server.url, { method: "POST" }).catch((error: unknown) => error)
    expect(reset).toBeInstanceOf(PoolError)
    expect(reset).toMatchObject({ name: "ConnectionReset", origin: server.url, mayHaveReachedServer: true })
    const url = server.url
    await server[Symbol.asyncDispose]()
    const refused = await pool.fetch(url).catch((error: unknown) => error)
    expect(refused).toMatchObject({ name: "ConnectFailed", phase: "connecting", mayHaveReachedServer: false })
    await pool.close()
    await expect(pool.fetch(url)).rejects.toMatchObject({ name: "PoolClosed" })
  })

  it("follows redirects as fetch does", async () => {
    await using server = await listen((request, response) => {
      const [, status, target] = /^\/(\d+)\/(.*)$/.exec(request.url ?? "") ?? []
      if (status === undefined) return void echo(request, response)
      response.writeHead(Number(status), { location: `/${target}` }).end()
    })
    await using pool = await createPool()
    const moved = await pool.fetch(`${server.url}/302/301/end`)
    expect(moved).toMatchObject({ status: 200, redirected: true, url: `${server.url}/end` })
    expect(await moved.json()).toMatchObject({ method: "GET", url: "/end" })
    const see = await pool.fetch(`${server.url}/303/end`, { method: "POST", body: "b" })
    expect(await see.json()).toMatchObject({ method: "GET", body: "" })
    const kept = await pool.fetch(`${server.url}/307/end`, { method: "POST", body: "b" })
    expect(await kept.json()).toMatchObject({ method: "POST", body: "b" })
    const manual = await pool.fetch(`${server.url}/302/end`, { redirect: "manual" })
    expect([manual.status, manual.headers.get("location")]).toEqual([302, "/end"])
    await manual.body?.cancel()
    await expect(pool.fetch(`${server.url}/302/end`, { redirect: "error" })).rejects.toThrow("redirect is")
    const circle = `${server.url}/${"302/".repeat(30)}`
    await expect(pool.fetch(circle)).rejects.toThrow("more than 20 redirects")
    expect(pool.stats().inFlight).toBe(0)
  })

  it("has no body where there cannot be one", async () => {
    await using server = await listen((request, response) => {
      if (request.method === "HEAD") response.setHeader("content-length", "5").end()
      else response.writeHead(204).end()
    })
    await using pool = await createPool({ maxConnections: 1 })
    const head = await pool.fetch(server.url, { method: "HEAD" })
    expect([head.body, head.headers.get("content-length")]).toEqual([null, "5"])
    const none = await pool.fetch(server.url)
    expect([none.status, none.body]).toEqual([204, null])
    expect(pool.stats().inFlight).toBe(0)
  })

  it("says what is wrong with an option or an address", async () => {
    await expect(createPool({ maxConnections: 0 })).rejects.toThrow(RangeError)
    await using pool = await createPool({ proxy: undefined })
    await expect(pool.fetch("not a url")).rejects.toThrow(TypeError)
    await expect(pool.fetch("ftp://localhost/")).rejects.toThrow(TypeError)
    await expect(pool.fetch("http://localhost/", { method: "PURGE" })).rejects.toThrow("method PURGE")
  })
})
