// The dashboard and the alerts name metrics that there are.
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, expect, it } from "vitest"
import { get, type Running, start, stop } from "./support/server.ts"

const file = (name: string): string => fileURLToPath(new URL(`../ops/${name}`, import.meta.url))
const hasPromtool = spawnSync("promtool", ["--version"]).status === 0

let server: Running
let names: ReadonlySet<string>

beforeAll(async () => {
  server = await start("serve", { DATABASE_PATH: ":memory:" })
  const { body } = await get(`${server.url}/prometheus/metrics`)
  names = new Set(
    [...String(body).matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name = "", type]) =>
      type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name]
    )
  )
})
afterAll(() => stop(server))

it.each(["grafana.json", "alerts.yml"])("%s asks for no metric that the server does not have", (name) => {
  const asked = new Set([...readFileSync(file(name), "utf8").matchAll(/\bfir_\w+/g)].map(([found]) => found))
  expect(asked.size).toBeGreaterThan(5)
  expect([...asked].filter((metric) => !names.has(metric))).toEqual([])
})

it("the dashboard is JSON that Grafana takes, a title and a query for each panel", () => {
  const { panels, title } = JSON.parse(readFileSync(file("grafana.json"), "utf8"))
  expect(title).toBe("FIR pipeline")
  for (const panel of panels) {
    expect(panel.title).not.toBe("")
    expect(panel.targets.length).toBeGreaterThan(0)
  }
})

it.skipIf(!hasPromtool)("promtool takes the alerts", () => {
  const { status, stdout } = spawnSync("promtool", ["check", "rules", file("alerts.yml")], { encoding: "utf8" })
  expect(stdout).toContain("SUCCESS: 7 rules found")
  expect(status).toBe(0)
})
