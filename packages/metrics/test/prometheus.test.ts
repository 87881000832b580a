// A Prometheus of the test's own scrapes each format and answers queries.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createServer as createTcpServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Exposition, Registry } from "@sluice/metrics"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { sample } from "./sample.ts"

const isInstalled = spawnSync("prometheus", ["--version"]).status === 0

const freePort = async (): Promise<number> => {
  const probe = createTcpServer()
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", () => resolve()))
  const { port } = probe.address() as AddressInfo
  await new Promise<void>((resolve) => probe.close(() => resolve()))
  return port
}

const folder = mkdtempSync(join(tmpdir(), "prometheus-"))
const formats: Record<string, string | undefined> = {}
let prometheus: ChildProcess | undefined
let api = ""

const native = Registry.makeUnsafe()
const latency = native.timer({ name: "native_seconds", help: "Latency." }).bind()

const server = createServer((request, response) => {
  const path = request.url ?? ""
  const { body, contentType } = Exposition.negotiate(
    path === "/native" ? native : sample(),
    path === "/text" ? "text/plain" : request.headers.accept
  )
  formats[path] = contentType
  response.writeHead(200, { "content-type": contentType }).end(body)
})

beforeAll(async () => {
  if (!isInstalled) return
  for (let value = 1; value <= 1000; value++) latency.observeUnsafe(value / 1000)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const jobs = ["text", "native"].map(
    (job) => `  - job_name: ${job}\n    metrics_path: /${job}\n    static_configs:\n      - targets: ["${target}"]\n`
  )
  const config = join(folder, "prometheus.yml")
  writeFileSync(config, `global:\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\nscrape_configs:\n${jobs.join("")}`)
  const port = await freePort()
  api = `http://127.0.0.1:${port}/api/v1`
  prometheus = spawn(
    "prometheus",
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--enable-feature=native-histograms"
    ],
    { stdio: "ignore" }
  )
}, 30_000)

afterAll(async () => {
  if (prometheus !== undefined) {
    const end = once(prometheus, "exit")
    prometheus.kill()
    await end
  }
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Asks until there is an answer, since the first scrape takes a moment. */
const query = async (expression: string): Promise<string> => {
  while (true) {
    try {
      const response = await fetch(`${api}/query?query=${encodeURIComponent(expression)}`)
      const { data } = await response.json()
      const value: unknown = data?.result?.[0]?.value?.[1]
      if (typeof value === "string") return value
    } catch {
      // It has not started to listen.
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe.skipIf(!isInstalled)("Prometheus", () => {
  it("takes the text", async () => {
    expect(await query('app_requests_total{job="text",path="/b"}')).toBe("3")
    expect(await query('app_latency_seconds_bucket{job="text",le="0.5"}')).toBe("3")
    expect(await query('app_recent_seconds{job="text",quantile="0.5"}')).toBe("0.5")
    expect(formats["/text"]).toBe(Exposition.prometheusContentType)
  }, 30_000)

  it("takes native histograms, and tells their quantiles finely", async () => {
    expect(Number(await query('histogram_count(native_seconds{job="native"})'))).toBe(1000)
    expect(Number(await query('histogram_sum(native_seconds{job="native"})'))).toBeCloseTo(500.5, 5)
    for (const q of [0.1, 0.5, 0.9, 0.99]) {
      const told = Number(await query(`histogram_quantile(${q}, native_seconds{job="native"})`))
      expect(Math.abs(told - q)).toBeLessThan(0.05 * q)
    }
    expect(formats["/native"]).toBe(Exposition.protobufContentType)
  }, 30_000)
})
