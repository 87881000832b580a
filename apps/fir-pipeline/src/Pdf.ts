/**
 * The report as PDF, with fonts of its own, so that it looks the same everywhere.
 *
 * A complaint may be in any script. Each part of a line is set in the first font that
 * has its signs, and shaped by that font; the signs that none has are shown as a question mark,
 * and the document says so and where the whole text is.
 *
 * @module
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { Effect } from "effect"
import type PDFDocument from "pdfkit"
import type { Fir } from "./Store.ts"

const require = createRequire(import.meta.url)

// Latin first: figures and signs that many scripts share are in it.
const SCRIPTS = [
  ["noto-sans", "latin", /[\u0020-\u00ff\u2000-\u206f\u20ac\u2122]/u],
  ["noto-sans", "latin-ext", /\p{Script=Latin}|[\u20a0-\u20cf]/u],
  ["noto-sans-devanagari", "devanagari", /\p{Script=Devanagari}|\u0964|\u0965|\u20b9/u],
  ["noto-sans-bengali", "bengali", /\p{Script=Bengali}/u],
  ["noto-sans-gujarati", "gujarati", /\p{Script=Gujarati}/u],
  ["noto-sans-tamil", "tamil", /\p{Script=Tamil}/u],
  ["noto-sans-telugu", "telugu", /\p{Script=Telugu}/u],
  ["noto-sans-kannada", "kannada", /\p{Script=Kannada}/u]
] as const
type Weight = 400 | 700

const fontFile = (family: string, script: string, weight: Weight): string =>
  require.resolve(`@fontsource/${family}/files/${family}-${script}-${weight}-normal.woff`)

interface Font {
  readonly name: string
  /** Whether the font has a sign. */
  has(codePoint: number): boolean
}

const MISSING = "?"
const SPACE = 0x20
const SIZE = 10
const INDENT = 14

/** Signs that say how their neighbours are joined stay in the font of these. */
const JOINERS = /\u200c|\u200d|\u0964|\u0965/u

/** A line as parts, each of one font. */
const parts = (
  line: string,
  fonts: ReadonlyArray<Font>,
  onMissing: () => void
): ReadonlyArray<readonly [Font, string]> => {
  const [latin] = fonts
  if (latin === undefined) return []
  const found: Array<[Font, string]> = []
  for (const sign of line) {
    const codePoint = sign.codePointAt(0) ?? 0
    const last = found.at(-1)
    const stays = last !== undefined && (sign === " " || JOINERS.test(sign) || last[0].has(codePoint))
    const font = stays ? last[0] : fonts.find((font) => font.has(codePoint))
    const isKnown = font !== undefined && (font.has(codePoint) || JOINERS.test(sign) || sign === " ")
    if (!isKnown) onMissing()
    const used = isKnown ? font : latin
    if (last !== undefined && last[0] === used) last[1] += isKnown ? sign : MISSING
    else found.push([used, isKnown ? sign : MISSING])
  }
  return found
}

type Document = InstanceType<typeof PDFDocument>

/** What pdfkit keeps of the font in use, as far as it is asked here. */
const hasGlyph = (document: Document): ((codePoint: number) => boolean) => {
  const current: unknown = Reflect.get(document, "_font")
  const font: unknown = typeof current === "object" && current !== null ? Reflect.get(current, "font") : undefined
  const has: unknown = typeof font === "object" && font !== null ? Reflect.get(font, "hasGlyphForCodePoint") : undefined
  if (typeof has !== "function") throw new Error("Cannot tell which signs a font has: pdfkit has changed")
  return (codePoint) => has.call(font, codePoint) === true
}

/** The fonts of a document; each is read when a sign of its script comes, since reading them is most of the work. */
const fontsOf = (document: Document, weight: Weight): ReadonlyArray<Font> =>
  SCRIPTS.map(([family, script, signs]) => {
    const name = `${family}-${script}-${weight}`
    let known: ((codePoint: number) => boolean) | undefined
    const load = (): ((codePoint: number) => boolean) => {
      document.registerFont(name, readFileSync(fontFile(family, script, weight)))
      document.font(name)
      known = hasGlyph(document)
      return known
    }
    return { name, has: (codePoint) => signs.test(String.fromCodePoint(codePoint)) && (known ?? load())(codePoint) }
  })

/** Whether the font that is set can shape a word: some place their marks by tables that fontkit stumbles over. */
const isShaped = (document: Document, word: string): boolean => {
  try {
    document.widthOfString(word)
    return true
  } catch {
    return false
  }
}

/** No line holds so long a word, and pdfkit would look for the place to break it at each of its signs. */
const WORD_MOST = 60

const breakable = (line: string): string =>
  line
    .replace(/\p{Cc}+/gu, " ")
    .trim()
    .replace(/\S{60,}/gu, (word) =>
      [...word].map((sign, at) => (at > 0 && at % WORD_MOST === 0 ? ` ${sign}` : sign)).join("")
    )

const isHeading = (line: string): boolean => /^(?:FIRST INFORMATION REPORT|\d\. [A-Z, ]+|TO BE SUPPLIED .*)$/.test(line)

export type Report = Pick<Fir, "firNumber" | "firContent" | "status" | "createdAt">

/** The report as the bytes of a PDF file. */
export const render = (fir: Report): Effect.Effect<Buffer> =>
  // Read with the first report that is wanted: a server that makes none starts faster.
  Effect.flatMap(
    Effect.promise(() => import("pdfkit")),
    (pdfkit) => draw(pdfkit.default, fir)
  )

const draw = (Kit: typeof PDFDocument, fir: Report): Effect.Effect<Buffer> =>
  Effect.callback<Buffer>((resume) => {
    const document = new Kit({
      size: "A4",
      margins: { top: 56, bottom: 56, left: 56, right: 56 },
      bufferPages: true,
      lang: "en-IN",
      info: { Title: fir.firNumber, Subject: "First Information Report", CreationDate: new Date(fir.createdAt) }
    })
    const chunks: Array<Buffer> = []
    document.on("data", (chunk: Buffer) => chunks.push(chunk))
    document.once("end", () => resume(Effect.succeed(Buffer.concat(chunks))))

    // Fonts differ in height, so lines are set by what their signs stand on.
    document.y += SIZE
    const plain = fontsOf(document, 400)
    const bold = fontsOf(document, 700)
    // The foot of a page and the mark of what is missing are in these, whatever the report is in.
    for (const [latin] of [plain, bold]) latin?.has(SPACE)
    let missing = 0
    const write = (line: string, fonts: ReadonlyArray<Font>, size: number): void => {
      const indent = (/^ */.exec(line)?.[0].length ?? 0) * (INDENT / 3)
      const pieces = parts(breakable(line), fonts, () => missing++)
      document.x = document.page.margins.left + indent
      document.fontSize(size)
      if (pieces.length === 0) {
        document.moveDown(0.6)
        return
      }
      const width = document.page.width - document.page.margins.right - document.x
      for (const [index, [font, text]] of pieces.entries()) {
        document.font(font.name)
        const options = { continued: index < pieces.length - 1, width, lineGap: 1.5, baseline: "alphabetic" } as const
        const words = text.split(" ").map((word) => {
          if (isShaped(document, word)) return word
          missing += word.length
          return MISSING.repeat(word.length)
        })
        document.text(words.join(" "), options)
      }
    }

    for (const [index, line] of fir.firContent.split("\n").entries()) {
      if (index === 0) write(line, bold, 16)
      else write(line, isHeading(line) ? bold : plain, SIZE)
    }
    if (missing > 0) {
      write("", plain, SIZE)
      write(
        `${missing} signs for which no font is at hand are shown as "${MISSING}". The server has the text in full.`,
        plain,
        SIZE
      )
    }
    const { count, start } = document.bufferedPageRange()
    for (let page = start; page < start + count; page++) {
      document.switchToPage(page)
      const { bottom, left, right } = document.page.margins
      // Below the margin pdfkit would begin another page.
      document.page.margins.bottom = 0
      const [latin] = plain
      const state = fir.status === "finalized" ? "final" : "not final"
      document
        .font(latin?.name ?? "")
        .fontSize(8)
        .text(`${fir.firNumber} · ${state} · ${page + 1}/${count}`, left, document.page.height - bottom + 16, {
          width: document.page.width - left - right,
          align: "center",
          lineBreak: false
        })
      document.page.margins.bottom = bottom
    }
    document.end()
  })
