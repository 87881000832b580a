// Makes the figures of the README: node apps/load-tester/docs/figures.ts [report] [compare] [capacity], some minutes of load;
// it needs Chromium.
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Shop from "./shopServer.ts"

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "sluice-load-figures-"))
const file = (name: string): string => join(folder, name)

const load = async (...args: ReadonlyArray<string>): Promise<void> => {
  console.log(`\n$ sluice-load ${args.join(" ").replaceAll(`${folder}/`, "")}`)
  await once(spawn(process.execPath, [here("../src/main.ts"), ...args], { cwd: here("."), stdio: "inherit" }), "exit")
}

const withShop = async (options: Parameters<typeof Shop.start>[0], use: (url: string) => Promise<void>) => {
  const shop = await Shop.start(options)
  await use(shop.url)
  shop.close()
}

const picture = (page: string, to: string, height: number, isDark: boolean): void => {
  spawnSync("chromium", [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"],
    ...(isDark ? ["--blink-settings=preferredColorScheme=0"] : ["--blink-settings=preferredColorScheme=1"]),
    ...[`--window-size=1000,${height}`, `--screenshot=${here(to)}`, `file://${file(page)}`]
  ])
}

const makeReport = async (): Promise<void> => {
  const scenario = [
    "run",
    "shop.ts",
    "--rate",
    "200",
    "--stages",
    "5s:200,15s:200,5s:350,15s:350,5s:200,15s:200",
    "--quiet"
  ]
  const thresholds = ["--threshold", "http_req_duration: p(95)<60", "--threshold", "http_req_failed[5s]: rate<0.05"]

  await withShop({}, (url) =>
    load(...scenario, "--url", url, ...thresholds, "--out", file("run.slr"), "--out", file("run.html"))
  )
  picture("run.html", "report-light.png", 1500, false)
  picture("run.html", "report-dark.png", 1500, true)
}

const makeComparison = async (): Promise<void> => {
  // By turns, so that what else the machine does falls on all alike.
  const plain = ["run", "shop.ts", "--rate", "200", "-d", "15s", "--quiet", "--summary", "none"]
  for (const turn of [1, 2, 3]) {
    for (const [name, slowness] of [
      ["main", 1],
      ["same", 1],
      ["branch", 1.25]
    ] as const) {
      await withShop({ slowness, pauseAfterSeconds: 1000 }, (url) =>
        load(...plain, "--url", url, "--out", file(`${name}-${turn}.slr`))
      )
    }
  }
  const all = (name: string): string => [1, 2, 3].map((turn) => file(`${name}-${turn}.slr`)).join(",")
  await load("compare", all("main"), all("same"), "--warm-up", "2s")
  await load("compare", all("main"), all("branch"), "--warm-up", "2s")
}

const makeCapacity = async (): Promise<void> => {
  const { url, close } = await Shop.start({ pauseAfterSeconds: 1e6, workers: 4 })
  await load("capacity", `${url}/items/7`, "--slo", "p(50)<30", "--each", "5s", "--out", file("capacity.html"))
  picture("capacity.html", "capacity.png", 1010, false)
  close()
}

const asked = process.argv.slice(2)
for (const [name, make] of Object.entries({ report: makeReport, compare: makeComparison, capacity: makeCapacity })) {
  if (asked.length === 0 || asked.includes(name)) await make()
}
rmSync(folder, { recursive: true })
