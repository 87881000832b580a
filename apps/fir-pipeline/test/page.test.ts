import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import { chromium, open, type Page } from "./support/browser.ts"
import { recording } from "./support/files.ts"
import { get, post, type Running, start, stop, temporaryFolder } from "./support/server.ts"

const folder = temporaryFolder()
const shots = process.env["SCREENSHOTS"]
let server: Running
let page: Page

const type = (id: string, text: string) =>
  page.evaluate(`document.getElementById(${JSON.stringify(id)}).value = ${JSON.stringify(text)}`)
const press = (selector: string) => page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`)
const at = (title: string) =>
  page.until(`document.getElementById("step-title").textContent === ${JSON.stringify(title)} &&
    !document.querySelector("#answer-form button").disabled`)
const text = (): Promise<unknown> => page.evaluate("document.getElementById('content').innerText")
const approve = () => press("#answer-form .primary")
const shot = (name: string) => (shots === undefined ? Promise.resolve() : page.screenshot(`${shots}/${name}.png`))

describe.skipIf(chromium === undefined)("the officer's page", () => {
  beforeAll(async () => {
    server = await start("serve", { DATABASE_PATH: `${folder.path}/fir.sqlite`, FIR_AUTH_KEY: "station-house-key" })
    page = await open(chromium ?? "", `${server.url}/`, `${folder.path}/profile`)
  })
  afterAll(async () => {
    await page.close()
    await stop(server)
    folder.remove()
  })

  it("leads from a complaint to a final report, with a correction on the way", async () => {
    await page.resize(1000, 1200)
    await type("text", Complaints.load()[0]?.text ?? "")
    await shot("complaint")
    await press("#complaint-form .primary")
    await at("Complaint")
    expect(await text()).toContain("Ananya Sharma")
    await approve()
    await at("Summary")
    await type("note", "Place: Vikram Vihar, New Delhi")
    await press("#again")
    await page.until("document.getElementById('content').innerText.includes('Vikram Vihar')")
    await at("Summary")
    await approve()
    await at("Sections")
    expect(await text()).toContain("BNS 304(2): Snatching")
    await shot("sections")
    await press("[data-remove='304(2)']")
    await type("note", "Add section: 352")
    await approve()
    await at("Narrative")
    await approve()
    await at("Report")
    await approve()
    await at("The report is complete")
    expect(await text()).toContain("Place: Vikram Vihar, New Delhi")
    expect(await text()).toContain("BNS 352:")
    expect(await text()).not.toContain("BNS 304(2)")
    await shot("report")
    await type("auth", "station-house-key")
    await press("#finalise-form button")
    await page.until("document.getElementById('list').innerText.endsWith('· final')")
    expect(page.errors).toEqual([])
  })

  it("opens the entry that a section was proposed from, and tells who did what", async () => {
    await press("#new")
    await type("text", Complaints.load()[0]?.text ?? "")
    await press("#complaint-form .primary")
    await at("Complaint")
    await approve()
    await at("Summary")
    await approve()
    await at("Sections")
    await press("#content .violation summary")
    await page.until("document.querySelector('#content .violation ul') !== null")
    expect(await text()).toContain("What it needs")
    await press("#history summary")
    await page.until("document.querySelectorAll('#history-list li').length === 3")
    expect(await page.evaluate("document.getElementById('history-list').innerText")).toContain("anyone")
  })

  it("says that a complaint was submitted before", async () => {
    await press("#new")
    await type("text", Complaints.load()[0]?.text ?? "")
    await press("#complaint-form .primary")
    await at("Complaint")
    await page.until("document.getElementById('notice').innerText.includes('submitted before')")
  })

  it("corrects fields and texts where they stand", async () => {
    await page.evaluate("document.querySelector('[data-label=Occupation]').value = 'Weaver'")
    await approve()
    await at("Summary")
    expect(await text()).toContain("Weaver")
    await type("summary", "A summary in the officer's own words.")
    await approve()
    await at("Sections")
    await approve()
    await at("Narrative")
    await type("narrative", "A narrative in the officer's own words.")
    await approve()
    await at("Report")
    expect(await text()).toContain("Occupation: Weaver")
    expect(await text()).toContain("Summary: A summary in the officer's own words.")
    expect(await text()).toContain("Description: A narrative in the officer's own words.")
    await approve()
    await at("The report is complete")
  })

  it("saves the report as PDF, and finds it again by what it says", async () => {
    await page.evaluate(`{
      const make = URL.createObjectURL
      URL.createObjectURL = (blob) => {
        window.saved = blob
        return make.call(URL, blob)
      }
    }`)
    await press("#pdf")
    await page.until("window.saved !== undefined")
    expect(await page.evaluate("window.saved.type")).toBe("application/pdf")
    expect(await page.evaluate("window.saved.slice(0, 5).text()")).toBe("%PDF-")
    const found = () => page.evaluate("document.querySelectorAll('#list li').length")
    await type("number", "weaver own words")
    await press("#search-form button")
    await page.until("document.querySelectorAll('#list li').length === 1")
    await type("number", "nobody has ever written this")
    await press("#search-form button")
    await page.until("document.getElementById('notice').innerText.includes('Nothing was found')")
    expect(await found()).toBe(0)
    await type("number", "")
    await press("#search-form button")
    await page.until("document.querySelectorAll('#list li').length > 1")
  })

  it("takes a recording, urgently, and shows what was heard to be corrected", async () => {
    await press("#new")
    const bytes = JSON.stringify([...recording("My bicycle was stolen from Gandhi Market in Pune today.")])
    await page.evaluate(`{
      const files = new DataTransfer()
      files.items.add(new File([new Uint8Array(${bytes})], "complaint.wav", { type: "audio/wav" }))
      document.getElementById("file").files = files.files
      document.getElementById("urgent").checked = true
    }`)
    await press("#complaint-form .primary")
    await at("Complaint")
    expect(await text()).toContain("Transcribed from a recording")
    await shot("recording")
    await type("transcript", "My blue bicycle was stolen from Gandhi Market in Pune today.")
    await approve()
    await at("Summary")
    expect(await text()).toContain("blue bicycle")
  })

  it("shows each step as it arrives, from whatever desk it was approved at", async () => {
    const { body } = await get(`${server.url}/list_firs`)
    expect(body.items.length).toBeGreaterThan(0)
    await page.evaluate(`{
      const fetched = window.fetch
      window.fetch = (path, init) => {
        const watched = /^\\/session\\/([^/]+)\\/events$/.exec(path)
        if (watched !== null) window.session = watched[1]
        return fetched(path, init)
      }
    }`)
    await press("#new")
    await type("text", Complaints.load()[2]?.text ?? "")
    await press("#complaint-form .primary")
    await at("Complaint")
    await page.until("window.session !== undefined")
    const session_id = await page.evaluate("window.session")
    await post(`${server.url}/validate`, { session_id, approved: true })
    await at("Summary")
    await post(`${server.url}/validate`, { session_id, approved: true })
    await at("Sections")
  })

  it("asks for a complaint or a file, and takes not both", async () => {
    await press("#new")
    await press("#complaint-form .primary")
    await page.until("document.getElementById('notice').innerText.includes('not both')")
  })

  it("shows a complaint that carries markup as the text that it is", async () => {
    await type("text", '<img src=x onerror="document.title=1"><script>document.title = "taken"</script> stole my phone')
    await press("#complaint-form .primary")
    await at("Complaint")
    expect(await text()).toContain("<script>")
    expect(await page.evaluate("document.title")).toBe("First Information Report")
    expect(await page.evaluate("document.querySelectorAll('#content img, #content script').length")).toBe(0)
  })

  it("says what is wrong and keeps what was written", async () => {
    await type("note", "x".repeat(10_001))
    await approve()
    await page.until("document.getElementById('notice').innerText.includes('user_input')")
    expect(await page.evaluate("document.getElementById('note').value.length")).toBe(10_001)
    await type("note", "")
  })

  it("is all there in Hindi, and at 360 pixels with nothing beside the screen", async () => {
    await page.evaluate(`{
      const select = document.getElementById("language")
      select.value = "hi"
      select.dispatchEvent(new Event("change"))
    }`)
    await page.resize(360, 780)
    expect(await page.evaluate("document.documentElement.lang")).toBe("hi")
    const untranslated = await page.evaluate(
      "[...document.querySelectorAll('[data-t]')].filter((node) => !/[\\u0900-\\u097f]/.test(node.textContent)).map((node) => node.dataset.t)"
    )
    expect(untranslated).toEqual([])
    await press("#new")
    await type("text", Complaints.load()[13]?.text ?? "")
    await press("#complaint-form .primary")
    await at("शिकायत")
    await approve()
    await at("सारांश")
    await approve()
    await at("धाराएँ")
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360)
    await shot("hindi-360")
  })

  it("names every control, and lets none be smaller than a finger", async () => {
    const nameless = await page.evaluate(`[...document.querySelectorAll("input, textarea, select")]
      .filter(({ labels }) => labels.length === 0 || labels[0].textContent.trim() === "").map(({ id }) => id)`)
    expect(nameless).toEqual([])
    const small = await page.evaluate(`[...document.querySelectorAll("button")]
      .filter((button) => button.offsetParent !== null && button.offsetHeight < 44).map(({ textContent }) => textContent)`)
    expect(small).toEqual([])
  })
})
