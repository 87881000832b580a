import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import * as Law from "../src/law/Law.ts"
import { read } from "../src/law/wording.ts"

const law = Law.builtIn()
const proposed = (text: string): ReadonlyArray<string> => {
  const reading = read(text)
  return law
    .rank(text, 8)
    .filter(({ offence }) => Law.applies(offence.elements, offence.unless, reading))
    .map(({ offence }) => offence.section)
}

describe("ranking", () => {
  it.each(Complaints.load().map((complaint) => [complaint.id, complaint] as const))(
    "proposes exactly the sections of %s",
    (_, { expect: { sections }, text }) => {
      expect([...proposed(text)].sort()).toEqual([...sections].sort())
    }
  )

  it("puts the offence that fits best first and says which words led to it", () => {
    const [best] = law.rank("He snatched my chain and fled on a motorcycle", 5)
    expect(best?.offence.section).toBe("304(2)")
    expect(best?.found).toContain("snatch*")
    expect(best?.score).toBeGreaterThan(0)
  })

  it("proposes nothing where no wording shows", () => {
    expect(law.rank("The weather was fine and nothing happened", 8).filter(({ score }) => score > 4)).toEqual([])
    expect(law.rank("", 8)).toEqual([])
  })

  it("reads Hindi with and without nukta and chandrabindu alike", () => {
    expect(proposed("उसने तेज़ रफ़्तार से गाड़ी चलाकर सड़क पर टक्कर मारी")).toEqual(
      proposed("उसने तेज रफ्तार से गाडी चलाकर सडक पर टक्कर मारी")
    )
  })
})

describe("the table", () => {
  it("holds at least 150 offences, each once, each with its classification", () => {
    expect(law.offences.length).toBeGreaterThanOrEqual(150)
    expect(new Set(law.offences.map(({ section }) => section)).size).toBe(law.offences.length)
    for (const { bailable, cognizable, court, punishment } of law.offences) {
      expect([bailable, cognizable, court, punishment].every((text) => text.length > 1)).toBe(true)
    }
  })

  it("is refused with the line that is wrong", () => {
    const row = law.offences[0]
    expect(() => Law.make(row === undefined ? [] : [row, row])).toThrow("a section stands in it twice")
    expect(() => Law.load(new URL("./law.test.ts", import.meta.url))).toThrow("Cannot read line 1")
  })
})

// Where the reference table and the First Schedule to the Bharatiya Nagarik Suraksha
// Sanhita part, the app follows the Schedule, whose classes for these sections are
// those that the Indian Penal Code's sections of the same offence had.
const DEPARTURES: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["75(2)", ["bailable", "court"]],
  ["75(3)", ["bailable", "court"]],
  ["77", ["bailable", "court"]],
  ["78(2)", ["bailable", "court"]],
  ["79", ["bailable", "court"]],
  ["84", ["bailable", "court"]],
  ["87", ["cognizable"]],
  ["124(2)", ["bailable", "court"]],
  ["131", ["cognizable"]],
  ["132", ["bailable"]],
  ["133", ["cognizable"]],
  ["137(2)", ["court"]],
  ["180", ["bailable"]],
  ["191(3)", ["court"]],
  ["238(a)", ["bailable"]],
  ["298", ["bailable"]],
  ["306", ["court"]],
  ["308(3)", ["bailable", "court"]],
  ["308(6)", ["bailable"]],
  ["314", ["bailable", "court"]],
  ["316(2)", ["cognizable"]],
  ["316(3)", ["cognizable"]],
  ["316(4)", ["cognizable"]],
  ["316(5)", ["cognizable"]],
  ["326(f)", ["bailable", "court"]],
  ["329(3)", ["cognizable"]],
  ["329(4)", ["cognizable"]],
  ["331(1)", ["cognizable", "bailable"]],
  ["331(2)", ["cognizable", "bailable"]],
  ["331(3)", ["cognizable"]],
  ["331(4)", ["cognizable"]],
  ["331(6)", ["cognizable"]],
  ["332(c)", ["cognizable"]],
  ["333", ["cognizable"]],
  ["334(1)", ["cognizable", "bailable"]],
  ["336(3)", ["cognizable"]],
  ["336(4)", ["cognizable"]],
  ["340(2)", ["cognizable"]],
  ["351(3)", ["court"]],
  ["351(4)", ["court"]]
])

interface Reference {
  readonly Section: string
  readonly "Cognizable?": string
  readonly "Bailable?": string
  readonly "Triable By": string
}

const sign = (text: string): string | undefined =>
  /^non/i.test(text) ? "no" : /^(?:cognizable|bailable)\b/i.test(text) && text.length < 14 ? "yes" : undefined

describe("the classification", () => {
  it("agrees with the reference table, where one lies beside the repository, but for the departures", () => {
    const path = join(import.meta.dirname, "../../..", "..", "shared", "data", "bns-classification.jsonl")
    if (!existsSync(path)) return
    const rows = readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line): Reference => JSON.parse(line))
    const differing = new Map<string, Array<string>>()
    for (const offence of law.offences) {
      const known = rows.filter(({ Section }) => Section === offence.section)
      expect(known.length, `section ${offence.section} stands in the reference`).toBeGreaterThan(0)
      const parts: Array<string> = []
      const differs = (ours: string, theirs: ReadonlyArray<string>): boolean =>
        (ours === "yes" || ours === "no") && !theirs.some((text) => sign(text) === ours)
      if (
        differs(
          offence.cognizable,
          known.map((row) => row["Cognizable?"])
        )
      )
        parts.push("cognizable")
      if (
        differs(
          offence.bailable,
          known.map((row) => row["Bailable?"])
        )
      )
        parts.push("bailable")
      const court = offence.court.slice(0, 14).toLowerCase()
      if (!known.some((row) => row["Triable By"].toLowerCase().startsWith(court))) parts.push("court")
      if (parts.length > 0) differing.set(offence.section, parts)
    }
    expect(Object.fromEntries(differing)).toEqual(Object.fromEntries(DEPARTURES))
  })
})
