// A Prometheus of the test's own takes the remote write, and answers queries.
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { expect, it } from "vitest"
import * as Exporters from "../../src/output/Exporters.ts"
import { make } from "./sample.ts"

const isInstalled = spawnSync("prometheus", ["--version"]).status === 0

const freePort = async (): Promise<number> => {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", () => resolve()))
  const address = probe.address()
  await new Promise<void>((resolve) => probe.close(() => resolve()))
  return typeof address === "object" && address !== null ? address.port : 0
}

it.skipIf(!isInstalled)(
  "is taken by Prometheus, second by second",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-load-prometheus-"))
    const config = join(folder, "prometheus.yml")
    writeFileSync(config, "scrape_configs: []\n")
    const address = `127.0.0.1:${await freePort()}`
    const prometheus = spawn(
      "prometheus",
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=${address}`,
        "--web.enable-remote-write-receiver"
      ],
      { stdio: "ignore" }
    )
    const exited = once(prometheus, "exit")
    try {
      while (
        !(await fetch(`http://${address}/-/ready`).then(
          ({ ok }) => ok,
          () => false
        ))
      ) {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      const startedAtMillis = Math.floor(Date.now() / 1000) * 1000 - 60_000
      const result = make({ startedAtMillis })
      await Effect.runPromise(Exporters.remoteWrite(`http://${address}/api/v1/write`, result))
      const query = async (expression: string, second: number): Promise<unknown> => {
        const time = startedAtMillis / 1000 + second
        const response = await fetch(
          `http://${address}/api/v1/query?query=${encodeURIComponent(expression)}&time=${time}`
        )
        return (await response.json()).data.result[0].value[1]
      }
      expect(await query("sluice_load_requests_per_second", 3)).toBe("50")
      expect(await query("sum_over_time(sluice_load_requests_per_second[1m])", 12)).toBe("600")
      expect(
        Number(await query('sluice_load_request_duration_micros{quantile="0.5",run="sample"}', 3))
      ).toBeGreaterThan(4_000)
    } finally {
      prometheus.kill()
      await exited
      rmSync(folder, { recursive: true, force: true })
    }
  },
  30_000
)
