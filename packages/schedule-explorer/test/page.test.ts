import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Explorer } from "@sluice/schedule-explorer"
import { Effect, Semaphore } from "effect"
import { describe, expect, it } from "vitest"

const program = Effect.gen(function* () {
  const semaphore = yield* Semaphore.make(1)
  yield* Explorer.mark(`<b>"marked" & 'told'</b>`)
  yield* Effect.all([semaphore.take(1), Effect.andThen(Effect.sleep("1 second"), semaphore.take(1))], {
    concurrency: "unbounded"
  })
})

const { failure } = Explorer.check(program)
const page = failure === undefined ? "" : Explorer.page(failure, { title: "stock & <orders>" })

describe("page", () => {
  it("has a column for each fiber and a row for each turn", () => {
    expect(page.match(/<th scope="col">[^<]*/g)?.map((cell) => cell.slice(16))).toEqual([
      "turn",
      "main",
      "fiber 1",
      "fiber 2"
    ])
    expect(page.match(/<th scope="row">/g)).toHaveLength(failure?.steps.length ?? 0)
    expect(page).toContain('<span class="time">⏲ 1000 ms</span>')
  })

  it("says what went wrong, who waits for what, and how to repeat it", () => {
    expect(page).toContain("deadlock: nothing can run and main, fiber 2 wait")
    expect(page).toContain("<li>fiber 2 waits for a permit of a Semaphore</li>")
    expect(page).toContain(`Explorer.replay("${failure?.token}")`)
    expect(page).toContain("contract mode")
  })

  it("takes what the program wrote for text", () => {
    expect(page).toContain("&lt;b&gt;&quot;marked&quot; &amp; &#39;told&#39;&lt;/b&gt;")
    expect(page).toContain("<title>stock &amp; &lt;orders&gt;</title>")
    expect(page).not.toContain("<b>")
  })

  it("loads nothing, and is not let to", () => {
    expect(page).not.toMatch(/\b(src|href)=|@import|url\(/)
    expect(page).toContain("default-src 'none'")
  })
})

const browser = ["chromium", "chromium-browser", "google-chrome"].find(
  (name) => spawnSync(name, ["--version"]).status === 0
)

describe("page in a browser", () => {
  /** Presses keys one after the other, and gives the number of the row that has the focus after each. */
  const press = (keys: ReadonlyArray<string>): ReadonlyArray<string> => {
    const folder = mkdtempSync(join(tmpdir(), "page-"))
    const script = `<script>
      const seen = ${JSON.stringify(keys)}.map((key) => {
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }))
        return document.activeElement.querySelector("th")?.textContent ?? "none"
      })
      document.title = seen.join()
    </script>`
    try {
      writeFileSync(join(folder, "page.html"), page.replace("</body>", `${script}</body>`))
      const { stdout } = spawnSync(
        browser ?? "",
        ["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", join(folder, "page.html")],
        { encoding: "utf8", timeout: 30_000 }
      )
      return /<title>([^<]*)</.exec(stdout)?.[1]?.split(",") ?? []
    } finally {
      rmSync(folder, { recursive: true })
    }
  }

  it.runIf(browser !== undefined)(
    "goes from row to row by keys, and to what is marked alone",
    () => {
      expect(failure?.steps.map(({ kind, marks }) => (kind === "run" ? marks.length : kind))).toEqual([
        1,
        0,
        0,
        "time",
        0
      ])
      const keys = ["Home", "ArrowDown", "j", "k", "n", "End", "ArrowDown", "p", "b", "ArrowUp", "Home"]
      expect(press(keys)).toEqual(["1", "2", "3", "2", "4", "5", "5", "4", "4", "1", "1"])
    },
    40_000
  )
})
