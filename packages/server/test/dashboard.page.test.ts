import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeHttpServer } from "@effect/platform-node"
import { Registry } from "@sluice/metrics"
import { RateLimiter } from "@sluice/rate-limiter"
import { Semaphore } from "@sluice/semaphore"
import { Admission, Guard, Health, Listener } from "@sluice/server"
import { Dashboard } from "@sluice/server/dashboard"
import { Effect, Exit, Layer, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { chromium, open, type Page } from "./support/browser.ts"
import { send } from "./support/requests.ts"

const shots = process.env["SCREENSHOTS"]
const folder = mkdtempSync(join(tmpdir(), "sluice-dashboard-"))
const scope = Scope.makeUnsafe()
let page: Page
let work: (() => Promise<unknown>) | undefined
let release: (() => Promise<unknown>) | undefined

const worker = (name: string, held: number): Health.Snapshot => ({
  worker: name,
  pid: 4000 + held,
  phase: "ready",
  uptimeSeconds: 93,
  activeTasks: held,
  degradedAt: 1,
  resources: { llm_semaphore: { capacity: 5, held, waiting: 0, rejected: 0, isShared: false } },
  system: { cpu_percent: 40, memory_percent: 45, memory_available_gb: 8.5, process_memory_mb: 128 },
  configuration: {}
})

const markup = "<img src=x onerror=document.title=1>"

/** A server with something to show and a label that would be markup where it were not text. */
const start = Effect.gen(function* () {
  const registry = yield* Registry.make()
  const llm = yield* Semaphore.make(5)
  const limiter = yield* RateLimiter.make({ limit: 200, interval: "1 minute" })
  const admission = yield* Admission.make({
    registry,
    classes: { high: { permits: 100 }, medium: { permits: 20 }, controlled: { permits: 0 } }
  })
  const health = yield* Health.make({ worker: "1", resources: { llm_semaphore: llm, ...admission.resources } })
  yield* health.ready
  yield* llm.take(3)
  yield* limiter.tryTake(40)
  registry
    .counter({ name: "keys_total", help: "Keys.", labels: ["key"] })
    .bind({ key: markup })
    .incrementUnsafe()
  let turn = 0
  work = () =>
    Effect.runPromise(
      Effect.gen(function* () {
        turn++
        for (let count = 0; count < 12 + (turn % 5) * 3; count++) {
          yield* send(admission.admit("high")(Effect.succeed(HttpServerResponse.empty())))
        }
        for (let count = 0; count < turn % 4; count++) {
          yield* send(admission.admit("controlled")(Effect.succeed(HttpServerResponse.empty())))
        }
        if (turn % 3 === 0) yield* Effect.exit(send(admission.admit("medium")(Effect.fail("no"))))
      })
    )
  release = () => Effect.runPromise(llm.release(2))
  const listener = Listener.make()
  const routes = Dashboard.layer({
    title: "Credentialing",
    health,
    workers: Effect.succeed([worker("2", 2), worker("3", 4)]),
    registry,
    sources: { client_limit: limiter, listener },
    guard: Guard.token("watch"),
    interval: "100 millis"
  })
  yield* HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(
      NodeHttpServer.layer(() => listener, { host: "127.0.0.1", port: 0, gracefulShutdownTimeout: "10 millis" })
    ),
    Layer.buildWithScope(scope)
  )
  const address = listener.address()
  return address !== null && typeof address === "object" ? address.port : 0
})

const text = (selector: string) => page.evaluate(`document.querySelector(${JSON.stringify(selector)}).innerText`)
const shot = (name: string) => (shots === undefined ? Promise.resolve() : page.screenshot(`${shots}/${name}.png`))

describe.skipIf(chromium === undefined)("the dashboard's page", () => {
  beforeAll(async () => {
    const port = await Effect.runPromise(start)
    page = await open(chromium ?? "", `http://me:watch@127.0.0.1:${port}/dashboard`, join(folder, "profile"))
    await page.resize(1200, 900)
  })
  afterAll(async () => {
    await page.close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(folder, { recursive: true, force: true })
  })

  it("shows what goes on, as it goes on", async () => {
    await page.until("document.querySelectorAll('#workers tbody tr').length === 3")
    expect(await text("#status")).toBe("The server is healthy. Live.")
    const rows = await text("#resources")
    expect(rows).toContain("llm_semaphore")
    expect(rows).toContain("60 %")
    await release?.()
    await page.until("document.querySelector('#resources').innerText.includes('47 %')")
    expect(await text("#sources")).toContain("client_limit")
    expect(await text("#workers")).toContain("4002")
    // As long as it takes until there is something of each to see.
    for (let count = 0; count < 24; count++) {
      await work?.()
      const seen = Number(await page.evaluate("samples.length"))
      await page.until(`samples.length > ${seen}`)
    }
    await page.until("document.querySelectorAll('#latency figure').length >= 1")
    expect(await page.evaluate("samples.some(({ requests }) => requests.answered > 0 && requests.refused > 0)")).toBe(
      true
    )
    expect(await page.evaluate("samples.some(({ requests }) => requests.failed > 0)")).toBe(true)
    expect(
      await page.evaluate("document.querySelector('#requests path.line').getAttribute('d').length")
    ).toBeGreaterThan(50)
    await shot("dashboard")
    expect(page.errors).toEqual([])
  })

  it("shows names as the text that they are", async () => {
    await page.evaluate("document.querySelector('section:last-child details summary').click()")
    await page.until(`document.querySelector('#metrics').innerText.includes(${JSON.stringify(markup)})`)
    await page.evaluate("document.querySelector('section:last-child details summary').click()")
    expect(await page.evaluate("document.title")).toBe("Credentialing: dashboard")
    expect(await page.evaluate("document.images.length")).toBe(0)
  })

  it("has a table behind each chart, and a way through the past for the keyboard", async () => {
    await page.evaluate("document.querySelector('#requests details summary').click()")
    await page.until("document.querySelectorAll('#requests tbody tr').length >= 3")
    const headings = await page.evaluate(
      "[...document.querySelectorAll('#requests figure:first-child thead th')].map((node) => node.textContent)"
    )
    expect(headings).toEqual(["Time", "answered", "refused", "failed"])
    await page.evaluate("document.querySelector('#pause').click()")
    await page.until("document.querySelector('#status').innerText.includes('Paused')")
    const press = (key: string) =>
      page.evaluate(`{
        const plot = document.querySelector('#requests .plot')
        plot.focus()
        plot.dispatchEvent(new KeyboardEvent('keydown', { key: ${JSON.stringify(key)}, bubbles: true }))
      }`)
    await press("End")
    const last = await text("#requests output")
    expect(last).toMatch(/answered .*\/s, refused .*\/s, failed .*\/s/)
    await press("Home")
    await press("ArrowRight")
    await press("Escape")
    expect(await text("#requests output")).toBe("")
    await page.evaluate("document.querySelector('#pause').click()")
    await page.until("document.querySelector('#status').innerText.includes('Live')")
  })

  it("names every control, chart and table, and tells of changes politely", async () => {
    const nameless =
      await page.evaluate(`[...document.querySelectorAll("[role=img], [role=region], select, button, meter")]
      .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length))
      .map((node) => node.outerHTML)`)
    expect(nameless).toEqual([])
    const unlabelled = await page.evaluate(
      `[...document.querySelectorAll("section")].filter((node) => document.getElementById(node.getAttribute("aria-labelledby")) === null).length`
    )
    expect(unlabelled).toBe(0)
    expect(await page.evaluate("document.getElementById('status').getAttribute('aria-live')")).toBe("polite")
    const unreachable = await page.evaluate(
      `[...document.querySelectorAll("#requests .plot, .scroll, button, select, summary")].filter((node) => node.tabIndex < 0).length`
    )
    expect(unreachable).toBe(0)
  })

  it("can be read in the dark and in the light, and on a phone", async () => {
    // The contrast of WCAG's level AA, for what is read.
    const contrasts = () =>
      page.evaluate(`(() => {
        const light = (text) => {
          const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((part) => {
            const channel = part / 255
            return channel <= 0.03928 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
          })
          return 0.2126 * r + 0.7152 * g + 0.0722 * b
        }
        const ground = (node) => {
          const colour = getComputedStyle(node).backgroundColor
          return /, 0\\)$/.test(colour) ? ground(node.parentElement) : colour
        }
        return Math.min(...[...document.querySelectorAll("h1, h2, #status, dt, dd, th, td, summary, .legend, button")].map((node) => {
          const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => b - a)
          return (a + 0.05) / (b + 0.05)
        }))
      })()`)
    for (const scheme of ["light", "dark"] as const) {
      await page.scheme(scheme)
      await page.evaluate("document.activeElement.blur()")
      expect(Number(await contrasts())).toBeGreaterThanOrEqual(4.5)
      await shot(`dashboard-${scheme}`)
    }
    await page.resize(360, 780)
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360)
    await shot("dashboard-phone")
  })
})
