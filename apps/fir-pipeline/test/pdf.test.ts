// The report as PDF.
import { spawnSync } from "node:child_process"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import * as Pdf from "../src/Pdf.ts"
import { post, type Running, start, stop } from "./support/server.ts"

const render = (firContent: string) =>
  Effect.runPromise(
    Pdf.render({ firNumber: "FIR-12345678-20251121000000", status: "pending", createdAt: 0, firContent })
  )
const fontsOf = (pdf: Buffer): ReadonlySet<string> =>
  new Set([...pdf.toString("latin1").matchAll(/\/FontName \/[A-Z]+\+(\w+)/g)].map(([, name = ""]) => name))
const pagesOf = (pdf: Buffer): number => [...pdf.toString("latin1").matchAll(/\/Type \/Page\b/g)].length
const hasPdftotext = spawnSync("pdftotext", ["-v"]).status === 0
const textOf = (pdf: Buffer): string =>
  spawnSync("pdftotext", ["-layout", "-", "-"], { input: pdf, encoding: "utf8" }).stdout

describe("a report as PDF", () => {
  it("carries the fonts of the scripts that it is written in, and no others", async () => {
    expect([...fontsOf(await render("FIRST INFORMATION REPORT\n   Name: Asha Devi"))]).toEqual(["NotoSans"])
    const all = [...fontsOf(await render("x\nनाम: आशा देवी\nதமிழ் বাংলা ગુજરાતી తెలుగు ಕನ್ನಡ"))].join(" ")
    for (const script of ["Devanagari", "Tamil", "Bengali", "Gujarati", "Telugu", "Kannada"]) {
      expect(all).toContain(script)
    }
  })

  it("goes on over as many pages as it needs", async () => {
    const line = "   a line of a long complaint that goes on and on until it has to be broken\n"
    expect(pagesOf(await render(line.repeat(10)))).toBe(1)
    expect(pagesOf(await render(line.repeat(200)))).toBeGreaterThan(3)
  })

  it.each([
    ["emoji and scripts without a font", "🚔 اردو ਪੰਜਾਬੀ മലയാളം"],
    ["marks without a letter", "\u093c\u0900\u094d\u093f \u0bcd\u0bbe \u200d\u200c"],
    ["half of a pair", "\ud83d alone"],
    ["control signs", "a\u0000b\u0007c\td\r"],
    ["a word without an end", "क".repeat(20_000)],
    ["nothing", ""]
  ])("is made of %s, too", async (_, text) => {
    const pdf = await render(`x\n   ${text}`)
    expect(pdf.subarray(0, 5).toString()).toBe("%PDF-")
  })

  it.skipIf(!hasPdftotext)("can be searched and copied, and says what it cannot show", async () => {
    const text = textOf(await render("x\n   Name: Asha Devi\n   Seen: 🚔"))
    expect(text).toContain("Name: Asha Devi")
    expect(text).toContain("1 signs for which no font is at hand")
    expect(text).toContain("FIR-12345678-20251121000000 · not final · 1/1")
  })
})

describe("the server", () => {
  let server: Running
  beforeAll(async () => {
    server = await start("serve", { DATABASE_PATH: ":memory:" })
  })
  afterAll(() => stop(server))

  it("gives a report as PDF under its number", async () => {
    const opened = await post(`${server.url}/process`, { text: Complaints.load()[13]?.text })
    let last = opened
    for (let step = 0; step < 5; step++) {
      last = await post(`${server.url}/validate`, { session_id: opened.body.session_id, approved: true })
    }
    const { fir_number } = last.body.content
    const response = await fetch(`${server.url}/fir/${fir_number}/pdf`)
    expect(response.headers.get("content-type")).toBe("application/pdf")
    expect(response.headers.get("content-disposition")).toContain(`${fir_number}.pdf`)
    expect([...fontsOf(Buffer.from(await response.arrayBuffer()))].join(" ")).toContain("Devanagari")
    expect((await fetch(`${server.url}/fir/FIR-00000000-20250101000000/pdf`)).status).toBe(404)
  })
})
