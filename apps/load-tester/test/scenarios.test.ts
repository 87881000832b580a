import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Histogram from "../src/results/Histogram.ts"
import { drive } from "../src/run/Drive.ts"
import { csvRecords, open } from "../src/scenarios/Feed.ts"
import * as ModuleFile from "../src/scenarios/ModuleFile.ts"
import { endsWell } from "../src/scenarios/ModuleWork.ts"
import * as Targets from "../src/scenarios/Targets.ts"
import { turns } from "../src/scenarios/TargetWork.ts"
import { arrivals, planOf, users } from "./plans.ts"
import { echoWebSocketServer, http2Server, httpServer, type Running } from "./servers.ts"

const shop = fileURLToPath(new URL("scenarios/shop.ts", import.meta.url))

let server: Running
const seen: Array<{ readonly path: string; readonly body: string; readonly authorization: string | undefined }> = []

beforeAll(async () => {
  server = await httpServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => {
      body += String(chunk)
    })
    request.on("end", () => {
      const url = new URL(request.url ?? "", "http://localhost")
      seen.push({ path: url.pathname, body, authorization: request.headers.authorization })
      if (url.pathname === "/login") response.end(JSON.stringify({ token: "t1" }))
      else if (url.pathname === "/search") {
        response.end(JSON.stringify({ items: [{ id: 7 }], name: url.searchParams.get("q") }))
      } else response.end()
    })
  })
})
afterAll(() => server.close())

const shopPlan = () =>
  planOf(
    [
      {
        name: "browse, compute",
        startAfterSeconds: 0,
        load: users(4, 40),
        source: { kind: "module", path: shop, names: ["browse", "compute"] }
      },
      {
        name: "late",
        startAfterSeconds: 0.05,
        load: arrivals(100, 0.1),
        source: { kind: "module", path: shop, names: ["late"] }
      }
    ],
    { baseUrl: `http://127.0.0.1:${server.port}` }
  )

describe("a scenario file", () => {
  it("does its steps by their weights, with feeds, checks and groups, and nothing of its set-up counts", async () => {
    seen.length = 0
    const { result } = await Effect.runPromise(drive(shopPlan()))
    expect(result.scenarios.map(({ iterations, name }) => [name, iterations])).toEqual([
      ["browse", 30],
      ["compute", 10],
      ["late", 10]
    ])
    expect(result.steps.map(({ group, name, protocol, requests }) => [group, name, protocol, requests])).toEqual([
      ["", "GET /search", "http", 30],
      ["cart", "add to cart", "http", 30],
      ["", "count", "work", 10],
      ["", "wait", "work", 10],
      ["", "GET /late", "http", 10]
    ])
    const checks = new Map(result.checks.map((check) => [check.name, check]))
    expect(checks.get("finds the name")).toMatchObject({ passed: 30, failed: 0 })
    expect(checks.get("keeps what it has seen")?.passed).toBeGreaterThan(0)
    expect(checks.get(endsWell)?.failed).toBeGreaterThan(0)
    expect(seen.filter(({ path }) => path === "/login")).toHaveLength(1)
    expect(seen.at(-1)).toMatchObject({ path: "/logout", body: '{"token":"t1"}' })
    expect(
      seen.filter(({ path }) => path === "/search").every(({ authorization }) => authorization === "Bearer t1")
    ).toBe(true)
    const orders = seen.filter(({ path }) => path === "/cart").map(({ body }) => JSON.parse(body))
    expect(orders.map(({ order }) => order).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 30 }, (_, index) => index + 1)
    )
    expect(orders.every(({ item }) => item === 7)).toBe(true)
  })

  it("is shared by threads without a row of a feed given out twice", async () => {
    seen.length = 0
    const { result } = await Effect.runPromise(drive(shopPlan(), { workers: 2 }))
    expect(result.scenarios.map(({ iterations }) => iterations).reduce((sum, count) => sum + count, 0)).toBe(50)
    const orders = seen.filter(({ path }) => path === "/cart").map(({ body }) => JSON.parse(body).order)
    expect(new Set(orders).size).toBe(orders.length)
  }, 60_000)

  it("counts the first request of an arrival from its planned moment", async () => {
    const { result } = await Effect.runPromise(drive(shopPlan()))
    const late = result.steps.find(({ name }) => name === "GET /late")
    // Its latency holds the time that the loop was late, its service time does not.
    expect(Histogram.mean(late?.latency ?? Histogram.empty)).toBeGreaterThanOrEqual(
      Histogram.mean(late?.service ?? Histogram.empty)
    )
  })

  it("speaks gRPC, in streams too, and WebSocket", async () => {
    const grpc = await http2Server((stream) => {
      const parts: Array<Buffer> = []
      stream.on("data", (chunk: Buffer) => parts.push(chunk))
      stream.on("end", () => {
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }))
        // Says back each message.
        stream.end(Buffer.concat(parts))
      })
    })
    const ws = await echoWebSocketServer()
    try {
      const path = fileURLToPath(new URL("scenarios/protocols.ts", import.meta.url))
      process.env["GRPC_ADDRESS"] = `grpc://127.0.0.1:${grpc.port}`
      process.env["WS_ADDRESS"] = `ws://127.0.0.1:${ws.port}`
      const plan = planOf([
        { name: "talk", startAfterSeconds: 0, load: users(2, 10), source: { kind: "module", path, names: ["talk"] } }
      ])
      const { result } = await Effect.runPromise(drive(plan))
      expect(result.checks.map(({ failed, name, passed }) => [name, passed, failed])).toEqual([
        ["a message comes back", 10, 0],
        ["it says what it was told", 10, 0],
        [endsWell, 10, 0],
        ["three messages come back", 10, 0]
      ])
      expect(result.steps.map(({ name, protocol, requests }) => [name, protocol, requests])).toEqual([
        ["/chat", "ws", 10],
        ["stream", "grpc", 10],
        ["test.Echo/Echo", "grpc", 10]
      ])
    } finally {
      await Promise.all([grpc.close(), ws.close()])
    }
  })

  it("says what is wrong with it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
    try {
      const fails = async (text: string): Promise<string> => {
        const path = join(folder, `${Math.random()}.ts`)
        writeFileSync(path, text)
        return (await Effect.runPromise(Effect.flip(ModuleFile.load(path)))).message
      }
      expect(await fails("export const a = 1")).toContain("its default export must have scenarios")
      expect(await fails("export default { scenarios: {} }")).toContain("it has no scenarios")
      expect(await fails("throw new Error('no luck')")).toContain("no luck")
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe("targets", () => {
  it("are read from vegeta's text", () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
    try {
      copyFileSync(new URL("scenarios/people.csv", import.meta.url), join(folder, "body.csv"))
      const path = join(folder, "targets.txt")
      writeFileSync(
        path,
        "# two of them\nGET http://127.0.0.1:1/a?b=1\nX-One: 1\nX-Two: a: b\n\nPOST http://127.0.0.1:1/c\n@body.csv\n\n\nDELETE http://127.0.0.1:1/d\nPUT http://127.0.0.1:1/e\n"
      )
      const targets = Targets.load(path)
      expect(targets.map(({ name }) => name)).toEqual(["GET /a", "POST /c", "DELETE /d", "PUT /e"])
      expect(targets[0]?.headers).toEqual([
        ["X-One", "1"],
        ["X-Two", "a: b"]
      ])
      expect(Buffer.from(targets[1]?.body ?? "", "base64").toString()).toContain("Bo, Jr")
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it("are read from lines of JSON, as vegeta writes them and with what is ours", () => {
    const targets = Targets.parseJsonLines(
      [
        '{"method":"POST","url":"http://h/a","body":"aGk=","header":{"X-A":["1","2"]}}',
        "",
        '{"url":"http://h/b","json":{"c":1},"name":"make b","weight":3}',
        '{"url":"http://h/d","text":"plain","method":"PATCH"}'
      ].join("\n")
    )
    expect(
      targets.map(({ body, headers, method, name, weight }) => [
        method,
        name,
        weight,
        headers,
        body === undefined ? "" : Buffer.from(body, "base64").toString()
      ])
    ).toEqual([
      [
        "POST",
        "POST /a",
        1,
        [
          ["X-A", "1"],
          ["X-A", "2"]
        ],
        "hi"
      ],
      ["POST", "make b", 3, [["content-type", "application/json"]], '{"c":1}'],
      ["PATCH", "PATCH /d", 1, [], "plain"]
    ])
  })

  it.each([
    ["ftp://h/", "an address with http"],
    ["nowhere", "an address with http"]
  ])("are refused at %s", (url, message) => {
    expect(() => Targets.make({ url })).toThrow(message)
  })

  it("are refused with what would break a request", () => {
    expect(() => Targets.make({ url: "http://h/", headers: [["X", "a\r\nY: b"]] })).toThrow("Cannot send the header")
    expect(() => Targets.make({ url: "http://h/", method: "GET / HTTP/1.1\r\n" })).toThrow("Cannot send the method")
    expect(() => Targets.parseText("X-One: 1\n", ".")).toThrow("in line 1")
    expect(() => Targets.parseJsonLines("{}\nnot json")).toThrow("in line 1")
  })
})

describe("turns", () => {
  it("are as many as the weights say, and spread", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }), (weights) => {
        const next = turns(weights)
        const sum = weights.reduce((all, weight) => all + weight, 0)
        const drawn = Array.from({ length: sum * 3 }, next)
        weights.forEach((weight, index) => {
          expect(drawn.filter((turn) => turn === index)).toHaveLength(weight * 3)
          // In any beginning of the sequence, none is more than one turn away from its part.
          drawn.forEach((_, at) => {
            const had = drawn.slice(0, at + 1).filter((turn) => turn === index).length
            expect(Math.abs(had - ((at + 1) * weight) / sum)).toBeLessThanOrEqual(weights.length)
          })
        })
      }),
      { numRuns: 50 }
    )
  })
})

describe("CSV", () => {
  it("is read as it was written, whatever stands in its fields", () => {
    const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`
    const records = fc.array(
      fc.array(fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r", "é", " ") }), {
        minLength: 2,
        maxLength: 4
      }),
      { minLength: 1, maxLength: 5 }
    )
    fc.assert(
      fc.property(records, fc.constantFrom("\n", "\r\n"), (records, end) => {
        expect(csvRecords(records.map((record) => record.map(quoted).join(",")).join(end) + end)).toEqual(records)
      })
    )
  })
})

describe("a feed", () => {
  it("gives each row to one share, in order, and begins again", () => {
    const rows = ["a", "b", "c", "d", "e"]
    const shares = [0, 1].map((index) => open("letters", { rows }, ".", { index, of: 2 }, 1))
    expect(shares.map((next) => Array.from({ length: 4 }, next))).toEqual([
      ["a", "c", "e", "b"],
      ["b", "d", "a", "c"]
    ])
  })

  it("draws the same rows for the same seed", () => {
    const draw = (seed: number) => {
      const next = open("letters", { rows: ["a", "b", "c"], order: "random" }, ".", { index: 0, of: 1 }, seed)
      return Array.from({ length: 20 }, next)
    }
    expect(draw(3)).toEqual(draw(3))
    expect(draw(3)).not.toEqual(draw(4))
  })

  it("ends where each row is given once", () => {
    const next = open("letters", { rows: ["a"], order: "once" }, ".", { index: 0, of: 1 }, 1)
    expect(next()).toBe("a")
    expect(next).toThrow("all of its 1 rows were given out")
  })
})
