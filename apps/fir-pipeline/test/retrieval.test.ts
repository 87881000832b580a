// How well the sections are found, over complaints whose sections were labelled by
// hand. The floor is what the README states; whoever changes the table sees here
// what it does to complaints that he did not think of.
import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import * as Law from "../src/law/Law.ts"
import { read } from "../src/law/wording.ts"

interface Labelled {
  readonly id: string
  readonly text: string
  readonly sections: ReadonlyArray<string>
}

const law = Law.builtIn()
const labelled: ReadonlyArray<Labelled> = [
  ...readFileSync(new URL("../labelled.jsonl", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Labelled => JSON.parse(line)),
  ...Complaints.load().map(({ expect: { sections }, id, text }) => ({ id, text, sections }))
]

it("finds nearly every section of ninety labelled complaints, and little beside them", () => {
  let right = 0
  let wrong = 0
  let lost = 0
  for (const { sections, text } of labelled) {
    const reading = read(text)
    const proposed = law
      .rank(text, 8)
      .filter(({ offence }) => Law.applies(offence.elements, offence.unless, reading))
      .map(({ offence }) => offence.section)
    const hits = proposed.filter((section) => sections.includes(section)).length
    right += hits
    wrong += proposed.length - hits
    lost += sections.length - hits
  }
  expect(labelled.length).toBe(90)
  expect(right / (right + lost), "recall").toBeGreaterThanOrEqual(0.99)
  expect(right / (right + wrong), "precision").toBeGreaterThanOrEqual(0.97)
})

it("ranks every labelled section among the eight that are checked", () => {
  for (const { id, sections, text } of labelled) {
    const ranked = law.rank(text, 8).map(({ offence }) => offence.section)
    for (const section of sections) expect(ranked, `${id}: ${section}`).toContain(section)
  }
})
