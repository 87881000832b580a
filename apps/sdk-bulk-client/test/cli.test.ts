// The `t2e` command as a user runs it: a process, its output, its exit code.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ProgressBar from "../src/cli/progressBar.ts"
import { suites } from "../src/suites/suites.ts"
import { finish, launch } from "./support/command.ts"
import { contexts, start } from "./support/start.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "t2e-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const environment = (url: string) => ({ T2E_BASE_URL: url, T2E_ACCESS_TOKEN: "token" })

/** Writes so many items, and answers the words of the command that creates them. */
const items = (at: string, count: number, project: string): ReadonlyArray<string> => {
  const file = join(at, "items.jsonl")
  writeFileSync(
    file,
    contexts(count)
      .map((item) => `${JSON.stringify(item)}\n`)
      .join("")
  )
  return ["bulk-create", "contexts", file, "--project", project]
}

const run = (words: ReadonlyArray<string>, url: string) => Effect.promise(() => finish(launch(words, environment(url))))

/** Waits until the server has created so many, by asking it. */
const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (holds() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(holds))))

describe("bulk-create", () => {
  it.live("creates every item of a file, tells of each, and ends with 0", () =>
    Effect.gen(function* () {
      const { project, server } = yield* start()
      const at = yield* folder
      const results = join(at, "results.jsonl")
      const ended = yield* run([...items(at, 40, project), "--results", results], server.url)
      expect(ended).toMatchObject({ code: 0, stderr: "" })
      expect(ended.stdout).toMatch(/^40 created, 0 restored, 0 failed, 0 not attempted in /)
      expect(server.counts().created["contexts"]).toBe(40)
      const lines = readFileSync(results, "utf8").trim().split("\n")
      expect(new Set(lines.map((line) => JSON.parse(line).index)).size).toBe(40)
    })
  )

  it.live("names every line that is not valid, sends nothing, and ends with 2", () =>
    Effect.gen(function* () {
      const { project, server } = yield* start()
      const at = yield* folder
      const file = join(at, "bad.jsonl")
      writeFileSync(file, '{"name":"a","content":"b"}\n{"name":"","content":""}\n\nnonsense\n')
      const before = server.counts().requests
      const ended = yield* run(["bulk-create", "contexts", file, "--project", project], server.url)
      expect(ended.code).toBe(2)
      expect(ended.stderr).toContain("2 of its 3 items are not valid, and nothing was sent")
      expect(ended.stderr).toMatch(/line 2: .*name.*content/)
      expect(ended.stderr).toContain("line 4:")
      expect(ended.stderr).not.toContain("    at ")
      expect(server.counts().requests).toBe(before)
    })
  )

  it.live("tells of the items that failed, and ends with 1", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      const at = yield* folder
      const ended = yield* run(items(at, 3, "no-such-project"), server.url)
      expect(ended.code).toBe(1)
      expect(ended.stdout).toMatch(/^0 created, 0 restored, 3 failed/)
      expect(ended.stderr).toContain("item 2: POST /api/projects/no-such-project/contexts was answered 404")
    })
  )

  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    it.live(`goes on after ${signal} where it ended, and nothing is created twice`, () =>
      Effect.gen(function* () {
        const { project, server } = yield* start({ latency: "fast" })
        const at = yield* folder
        const words = [...items(at, 200, project), "--resume", "--max-concurrent", "4"]
        const child = launch(words, environment(server.url))
        const ending = finish(child)
        yield* until(() => (server.counts().created["contexts"] ?? 0) >= 20)
        child.kill(signal)
        const ended = yield* Effect.promise(() => ending)
        if (signal === "SIGINT") {
          expect(ended.code).toBe(130)
          expect(ended.stdout).toMatch(/^\d+ created, 0 restored, 0 failed, \d+ not attempted/)
        }
        const created = server.counts().created["contexts"] ?? 0
        expect(created).toBeLessThan(200)
        const again = yield* run(words, server.url)
        expect(again.code).toBe(0)
        expect(again.stdout).toMatch(/created, [1-9]\d* restored, 0 failed, 0 not attempted/)
        expect(server.counts().created["contexts"]).toBe(200)
      })
    )
  }

  it.live("says in one line that there is no file, no API and no credential", () =>
    Effect.gen(function* () {
      const { project, server } = yield* start()
      const at = yield* folder
      const none = yield* run(["bulk-create", "contexts", join(at, "none"), "--project", project], server.url)
      expect(none).toMatchObject({ code: 2 })
      expect(none.stderr).toMatch(/^t2e: Cannot read .*\n$/)
      const words = items(at, 1, project)
      const bare = yield* Effect.promise(() => finish(launch(words, { T2E_BASE_URL: server.url })))
      expect(bare).toMatchObject({ code: 2, stderr: expect.stringMatching(/^t2e: Cannot use accessToken .*\n$/) })
      const nowhere = yield* Effect.promise(() => finish(launch(words, { T2E_ACCESS_TOKEN: "token" })))
      expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringMatching(/^t2e: Cannot use baseUrl .*\n$/) })
    })
  )
})

describe("test", () => {
  it.live("lists the suites", () =>
    Effect.gen(function* () {
      const ended = yield* Effect.promise(() => finish(launch(["test", "--list-tests"])))
      expect(ended.code).toBe(0)
      expect(
        ended.stdout
          .trim()
          .split("\n")
          .map((line) => line.split(" ")[0])
      ).toEqual(suites.map(({ name }) => name))
    })
  )

  it.live("runs the suites named, prints the guide's figures beside ours, and writes JSON and JUnit", () =>
    Effect.gen(function* () {
      const { server } = yield* start({ latency: "fast" })
      const at = yield* folder
      const json = join(at, "results.json")
      const junit = join(at, "results.xml")
      const tests = "high_concurrency_contexts,high_concurrency_golden_examples"
      const ended = yield* run(["test", "--tests", tests, "--json", json, "--junit", junit], server.url)
      expect(ended).toMatchObject({ code: 0, stderr: "" })
      expect(ended.stdout).toContain("✅ Contexts (32 concurrent requests)")
      expect(ended.stdout).toContain("Success rate: 32/32 (100%)")
      expect(ended.stdout).toContain("Connection drops: zero")
      expect(ended.stdout).toContain("| Contexts        | 32/32, 1.2 s, 0.8 req/s | 32/32")
      expect(ended.stdout).toContain("2 of 2 suites passed")
      expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({ passed: true })
      expect(readFileSync(junit, "utf8")).toContain('<testsuite name="t2e" tests="2" failures="0">')
    })
  )

  it.live("ends with 1 where a suite fails, and with 2 where there is none of that name", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      const refused = yield* Effect.promise(() =>
        finish(
          launch(["test", "--tests", "paged_list", "--base-url", `${server.url}/elsewhere`, "--access-token", "token"])
        )
      )
      expect(refused.code).toBe(1)
      expect(refused.stdout).toContain("0 of 1 suites passed")
      const unknown = yield* run(["test", "--exclude", "nonsense"], server.url)
      expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("Cannot run nonsense") })
    })
  )
})

describe("serve", () => {
  it.live("says what it runs on, and refuses what it cannot be", () =>
    Effect.gen(function* () {
      const child = launch(["serve", "--port", "0"], {
        T2E_SERVER_LATENCY: "none",
        T2E_SERVER_FAULT_429: "5",
        T2E_SERVER_ACCESS_TOKEN: "the-one"
      })
      const ending = finish(child)
      let text = ""
      child.stdout?.on("data", (chunk) => {
        text += chunk
      })
      yield* until(() => text.includes("credential"))
      expect(text).toMatch(/listening on http:\/\/127\.0\.0\.1:\d+/)
      expect(text).toContain("latency: none")
      expect(text).toContain("429 5 %")
      expect(text).not.toContain("the-one")
      const url = /listening on (\S+)/.exec(text)?.[1] ?? ""
      const status = yield* Effect.promise(async () => (await fetch(`${url}/api/projects`)).status)
      expect(status).toBe(401)
      child.kill("SIGTERM")
      yield* Effect.promise(() => ending)
      const bad = yield* Effect.promise(() => finish(launch(["serve", "--port", "0"], { T2E_SERVER_LATENCY: "slow" })))
      expect(bad.code).toBe(2)
      expect(bad.stderr).toContain("T2E_SERVER_LATENCY")
    })
  )
})

describe("the progress bar", () => {
  it("shows what is done, what failed, how fast and how long still", () => {
    expect(ProgressBar.line({ done: 50, total: 200, created: 48, failed: 2 }, 200, 10_000)).toBe(
      `[${"#".repeat(7)}${".".repeat(23)}] 50/200 25% · 2 failed · 5.0/s · 30 s left`
    )
    expect(ProgressBar.line({ done: 200, total: 200, created: 200, failed: 0 }, 200, 2000)).toBe(
      `[${"#".repeat(30)}] 200/200 100% · 100/s`
    )
    expect(ProgressBar.line({ done: 0, total: 0, created: 0, failed: 0 }, 0, 0)).toContain("100%")
  })

  it("is drawn ten times a second at the most, and last of all as it ends", () => {
    const drawn: Array<string> = []
    let now = 0
    const bar = ProgressBar.make(100, { isTTY: true, write: (text) => drawn.push(text) }, () => now)
    for (let done = 1; done <= 100; done++) {
      now += 10
      bar.update({ done, total: 100, created: done, failed: 0 })
    }
    bar.end()
    expect(drawn.length).toBeLessThanOrEqual(13)
    expect(drawn.at(-2)).toContain("100/100")
    expect(drawn.at(-1)).toBe("\n")
  })

  it("makes room for a note above it", () => {
    const drawn: Array<string> = []
    const bar = ProgressBar.make(2, { isTTY: true, write: (text) => drawn.push(text) }, () => 0)
    bar.note("item 1: no")
    expect(drawn[0]).toBe("\r\u001b[Kitem 1: no\n")
    expect(drawn[1]).toContain("0/2")
  })

  it("is not drawn where nobody looks, but its notes are", () => {
    const drawn: Array<string> = []
    const bar = ProgressBar.make(1, { write: (text) => drawn.push(text) }, () => 0)
    bar.update({ done: 1, total: 1, created: 1, failed: 0 })
    bar.note("item 0: no")
    bar.end()
    expect(drawn).toEqual(["item 0: no\n"])
  })
})
