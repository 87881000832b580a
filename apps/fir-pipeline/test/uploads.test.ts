// Complaints that come as files.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { transcriptIn } from "../src/model-server/transcripts.ts"
import { pixels, sniff } from "../src/Uploads.ts"
import { hasTesseract, letter, recording, taggedRecording } from "./support/files.ts"
import { get, post, type Running, send, start, stop } from "./support/server.ts"

const SPOKEN = "मेरा नाम आशा देवी है। 12 मार्च 2025 को गया जंक्शन के पास दो लोगों ने मेरी सोने की चेन छीन ली।"

let server: Running
beforeAll(async () => {
  server = await start("serve", { DATABASE_PATH: ":memory:", MAX_FILE_MEGABYTES: "1" })
})
afterAll(() => stop(server))

const form = (parts: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>): FormData => {
  const made = new FormData()
  for (const [name, value] of Object.entries(parts)) {
    made.append(name, typeof value === "string" ? value : new File([value], "complaint.bin"))
  }
  return made
}
const process = (parts: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>) =>
  send(`${server.url}/process`, { method: "POST", body: form(parts) })

const png = (width: number, height: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(letter)
  new DataView(bytes.buffer).setUint32(16, width)
  new DataView(bytes.buffer).setUint32(20, height)
  return bytes
}

describe("a file", () => {
  it("is what its first bytes say", () => {
    const bytes = (...values: ReadonlyArray<number>) => sniff(new Uint8Array(values))?.type
    expect(sniff(letter)?.type).toBe("image/png")
    expect(bytes(0xff, 0xd8, 0xff, 0xe0)).toBe("image/jpeg")
    expect(sniff(recording())?.type).toBe("audio/wav")
    expect(sniff(taggedRecording("x"))?.type).toBe("audio/mpeg")
    expect(bytes(0xff, 0xfb, 0x90, 0x00)).toBe("audio/mpeg")
    expect(bytes(0xff, 0xff, 0xff, 0xff)).toBeUndefined()
    expect(sniff(new Uint8Array(Buffer.from("%PDF-1.7")))).toBeUndefined()
    expect(bytes()).toBeUndefined()
  })

  it("tells how many pixels it has, as PNG and as JPEG", () => {
    const jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc0, 0, 11, 8, 0, 30, 0, 40, 1, 0, 0, 0]
    expect(pixels({ kind: "image", type: "image/jpeg", bytes: new Uint8Array(jpeg) })).toBe(1200)
    expect(pixels({ kind: "image", type: "image/png", bytes: png(820, 300) })).toBe(246_000)
  })

  it("may carry a transcript, which is read where it is", () => {
    const carried = (bytes: Uint8Array<ArrayBuffer>) => {
      const upload = sniff(bytes)
      return upload === undefined ? undefined : transcriptIn(upload)
    }
    expect(carried(recording(SPOKEN))).toBe(SPOKEN)
    expect(carried(taggedRecording(SPOKEN))).toBe(SPOKEN)
    expect(carried(recording())).toBeUndefined()
    const whole = recording(SPOKEN)
    // However it is cut off, it is read as far as it goes or not at all.
    for (let end = 12; end < whole.length; end += 7) expect(() => carried(whole.slice(0, end))).not.toThrow()
  })
})

describe("a recording", () => {
  it("becomes a session whose transcript can be corrected, and then a report that says where it came from", async () => {
    const opened = await process({ audio: recording(SPOKEN), urgent: "true" })
    expect(opened.status).toBe(200)
    expect(opened.body.content_for_validation).toMatchObject({ transcript: SPOKEN, source: "audio" })
    const session_id = opened.body.session_id
    const status = await get(`${server.url}/session/${session_id}/status`)
    expect(status.body.urgent).toBe(true)
    expect(status.body.validation_history[0].user_input).toMatch(/^audio\/wav, \d+ bytes, SHA-256 [0-9a-f]{64}$/)
    const corrected = `${SPOKEN}\nमेरे भाई रवि कुमार ने यह देखा।`
    const heard = await post(`${server.url}/validate`, {
      session_id,
      approved: true,
      user_input: `Contact: 9000000009\nTranscript: ${corrected}`
    })
    expect(heard.body.content.original_transcript).toBe(corrected)
    const late = await post(`${server.url}/validate`, { session_id, approved: true, user_input: "Transcript: other" })
    expect(late.status).toBe(422)
    const versions = await get(`${server.url}/session/${session_id}/versions`)
    expect(versions.body.versions.map(({ step }: { step: string }) => step)).toEqual([
      "transcript_review",
      "summary_review"
    ])
    expect(versions.body.versions[0].content.transcript).toBe(SPOKEN)
    for (let step = 0; step < 3; step++) await post(`${server.url}/validate`, { session_id, approved: true })
    const { body } = await post(`${server.url}/validate`, { session_id, approved: true })
    expect(body.content.fir_content).toContain("रवि कुमार")
    expect(body.content.fir_content).toContain("Contact: 9000000009")
    expect(body.content.fir_content).toContain("Received as: a recording")
  })

  it("that nobody can hear is a 503 that says so", async () => {
    const refused = await process({ audio: recording() })
    expect(refused.status).toBe(503)
    expect(refused.body.detail).toContain("asr")
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0)
  })

  it("in which there is hardly a word is refused as no complaint", async () => {
    expect(await process({ audio: recording("help") })).toMatchObject({ status: 422 })
  })
})

describe.skipIf(!hasTesseract)(`an image${hasTesseract ? "" : " (skipped: tesseract is not installed)"}`, () => {
  it("is read by the tesseract that is installed, through the embedded server", async () => {
    const { body, status } = await process({ image: letter })
    expect(status).toBe(200)
    expect(body.content_for_validation.transcript).toContain("Asha Devi")
    expect(body.content_for_validation).toMatchObject({ source: "image", facts: { complainantName: "Asha Devi" } })
    const health = await get(`${server.url}/health`)
    expect(health.body.asr_ocr_server.message).toContain("tesseract")
  })

  it("is read by tesseract without a server, where that is chosen", async () => {
    const alone = await start("serve", { DATABASE_PATH: ":memory:", OCR_ENGINE: "tesseract", OCR_LANGUAGES: "eng" })
    const reply = await send(`${alone.url}/process`, { method: "POST", body: form({ image: letter }) })
    expect(reply.body.content_for_validation.transcript).toContain("Asha Devi")
    const damaged = await send(`${alone.url}/process`, { method: "POST", body: form({ image: letter.slice(0, 400) }) })
    expect(damaged.status).toBe(422)
    await stop(alone)
  })
})

describe("what is sent as a file", () => {
  const cases: ReadonlyArray<readonly [string, Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>, number]> = [
    ["a file of another type", { image: new Uint8Array(Buffer.from("GIF89a and so on")) }, 415],
    ["a recording as an image", { image: recording() }, 415],
    ["an image as a recording", { audio: letter }, 415],
    ["an empty file", { image: new Uint8Array(0) }, 415],
    ["an image and a text", { image: letter, text: "A complaint that is long enough." }, 422],
    ["an image and a recording", { image: letter, audio: recording() }, 422],
    ["neither", { urgent: "true" }, 422],
    ["a file over the limit", { image: new Uint8Array(Buffer.concat([letter, Buffer.alloc(1_060_000)])) }, 413],
    ["an image of too many pixels", { image: png(100_000, 100_000) }, 413],
    ["a text as an image", { image: "a path/to/an/image.png" }, 422]
  ]
  it.each(cases)("is refused when it is %s", async (_, parts, status) => {
    const reply = await process(parts)
    expect(reply.status).toBe(status)
    expect(reply.type).toContain("problem+json")
  })

  it("is refused when it is given twice", async () => {
    const twice = form({ text: "A complaint that is long enough." })
    twice.append("text", "Another complaint that is long enough.")
    expect((await send(`${server.url}/process`, { method: "POST", body: twice })).status).toBe(400)
  })
})
