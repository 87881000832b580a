import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Outputs from "../../src/output/Outputs.ts"
import { make } from "./sample.ts"

it.effect("knows a file by its ending, or by the kind that is named", () =>
  Effect.gen(function* () {
    const parsed = yield* Effect.forEach(
      [
        "run.slr",
        "a/b.html",
        "junit=report",
        "json=x=y.txt",
        "prometheus=9464",
        "otlp=http://localhost:4318/v1/metrics"
      ],
      Outputs.parse
    )
    expect(parsed).toEqual([
      { kind: "file", format: "slr", path: "run.slr" },
      { kind: "file", format: "html", path: "a/b.html" },
      { kind: "file", format: "junit", path: "report" },
      { kind: "file", format: "json", path: "x=y.txt" },
      { kind: "prometheus", to: "9464" },
      { kind: "otlp", to: "http://localhost:4318/v1/metrics" }
    ])
    for (const wrong of ["run.doc", "json=", "doc=run.json", ""]) {
      const { message } = yield* Effect.flip(Outputs.parse(wrong))
      expect(message).toBe(
        `Cannot write to ${wrong}: a kind and a place are needed, as json=run.json. Kinds are slr, text, json, csv, junit, html, prom, prometheus, remote-write, otlp`
      )
    }
  })
)

it.effect("says which file it cannot write, and writes the others", () =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "sluice-load-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const outputs = yield* Effect.forEach(["/nonexistent/run.json", join(folder, "run.json")], Outputs.parse)
    const before = yield* Effect.flip(Outputs.check(outputs))
    expect(before.message).toContain("Cannot write /nonexistent/run.json: ")
    const { message } = yield* Effect.flip(Outputs.write(outputs, make({ seconds: 1 }), []))
    expect(message).toContain("Cannot write /nonexistent/run.json: ")
    expect(JSON.parse(readFileSync(join(folder, "run.json"), "utf8"))).toMatchObject({ version: 1 })
  }).pipe(Effect.scoped)
)

it.effect("serves a run that goes on, and says where", () =>
  Effect.gen(function* () {
    const output = yield* Outputs.parse("prometheus=127.0.0.1:0")
    const [said = ""] = yield* Outputs.open([output], () => make({ seconds: 1 }))
    expect(said).toMatch(/^Metrics at http:\/\/127\.0\.0\.1:\d+\/metrics$/)
    const text = yield* Effect.promise(() => fetch(said.replace("Metrics at ", "")).then((response) => response.text()))
    expect(text).toContain("sluice_load_requests_total")
  }).pipe(Effect.scoped)
)
