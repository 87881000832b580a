/**
 * The offences of the Bharatiya Nyaya Sanhita and how the fitting ones are found.
 *
 * A row says what an offence is called, how it is punished and classed, and by
 * which wordings its elements show in a complaint. Ranking is BM25 over these
 * wordings, raised by the share of the elements that were found; every proposal
 * says which words led to it.
 *
 * @module
 */
import { readFileSync } from "node:fs"
import { Schema } from "effect"
import { type Reading, read, type Wording, wording } from "./wording.ts"

export const Offence = Schema.Struct({
  section: Schema.NonEmptyString,
  title: Schema.NonEmptyString,
  punishment: Schema.NonEmptyString,
  /** `yes`, `no`, or what it depends on. */
  cognizable: Schema.NonEmptyString,
  /** `yes`, `no`, or what it depends on. */
  bailable: Schema.NonEmptyString,
  court: Schema.NonEmptyString,
  /** All elements must show; any one wording of an element suffices. */
  elements: Schema.NonEmptyArray(Schema.NonEmptyArray(Schema.NonEmptyString)),
  /** Wordings that point to another section instead. */
  unless: Schema.Array(Schema.NonEmptyString)
})
export type Offence = typeof Offence.Type

/** An offence that may apply, and why. */
export interface Proposal {
  readonly offence: Offence
  readonly score: number
  /** The wordings that were found. */
  readonly found: ReadonlyArray<string>
  /** The wordings that speak for another section. */
  readonly against: ReadonlyArray<string>
  readonly elementsFound: number
}

/** A table of offences, ready to be asked. */
export interface Law {
  readonly offences: ReadonlyArray<Offence>
  section(number: string): Offence | undefined
  /** The offences that fit the text best, best first. */
  rank(text: string, limit: number): ReadonlyArray<Proposal>
}

// The usual constants of BM25. Rows differ in length by their vocabulary and not by what they say, hence the low B.
const K1 = 1.2
const B = 0.3
const AGAINST = 0.15

interface Row {
  readonly offence: Offence
  readonly elements: ReadonlyArray<ReadonlyArray<Wording>>
  readonly unless: ReadonlyArray<Wording>
  readonly size: number
}

export const make = (offences: ReadonlyArray<Offence>): Law => {
  const rows = offences.map((offence): Row => {
    const elements = offence.elements.map((element) => element.map(wording))
    return {
      offence,
      elements,
      unless: offence.unless.map(wording),
      size: new Set(offence.elements.flat()).size
    }
  })
  const bySection = new Map(offences.map((offence) => [offence.section, offence]))
  if (bySection.size !== offences.length)
    throw new Error("Cannot use the table of offences: a section stands in it twice")
  const holders = new Map<string, number>()
  for (const { offence } of rows) {
    for (const source of new Set(offence.elements.flat())) holders.set(source, (holders.get(source) ?? 0) + 1)
  }
  const rarity = (source: string): number => {
    const n = holders.get(source) ?? 0
    return Math.log(1 + (rows.length - n + 0.5) / (n + 0.5))
  }
  const average = rows.reduce((sum, row) => sum + row.size, 0) / Math.max(1, rows.length)

  const judge = (row: Row, count: (wording: Wording) => number): Proposal => {
    const found = new Map<string, number>()
    let elementsFound = 0
    for (const element of row.elements) {
      let shows = false
      for (const candidate of element) {
        const times = count(candidate)
        if (times === 0) continue
        shows = true
        found.set(candidate.source, times)
      }
      if (shows) elementsFound++
    }
    const against = row.unless.filter((candidate) => count(candidate) > 0).map(({ source }) => source)
    let score = 0
    for (const [source, times] of found) {
      score += (rarity(source) * (times * (K1 + 1))) / (times + K1 * (1 - B + (B * row.size) / average))
    }
    const share = elementsFound / row.elements.length
    return {
      offence: row.offence,
      score: Math.round(score * share ** 2 * (against.length > 0 ? AGAINST : 1) * 100) / 100,
      found: [...found.keys()],
      against,
      elementsFound
    }
  }

  return {
    offences,
    section: (number) => bySection.get(number),
    rank: (text, limit) => {
      const reading = read(text)
      // Rows share vocabulary: each wording is looked up once a complaint.
      const counts = new Map<string, number>()
      const count = (candidate: Wording): number => {
        const known = counts.get(candidate.source)
        if (known !== undefined) return known
        const times = reading.count(candidate)
        counts.set(candidate.source, times)
        return times
      }
      return rows
        .map((row) => judge(row, count))
        .filter(({ score }) => score > 0)
        .sort((a, b) => b.score - a.score)
        .slice(0, limit)
    }
  }
}

/** Whether every element shows in the text and nothing speaks for another section. */
export const applies = (
  elements: ReadonlyArray<ReadonlyArray<string>>,
  unless: ReadonlyArray<string>,
  reading: Reading
): boolean =>
  elements.every((element) => element.some((source) => reading.count(wording(source), 1) > 0)) &&
  !unless.some((source) => reading.count(wording(source), 1) > 0)

const decodeRow = Schema.decodeUnknownSync(Schema.fromJsonString(Offence))

/** Reads a table: one JSON object a line. Throws with the line that is wrong. */
export const load = (path: string | URL): Law =>
  make(
    readFileSync(path, "utf8")
      .split("\n")
      .flatMap((line, index) => {
        if (line.trim() === "") return []
        try {
          return [decodeRow(line)]
        } catch (cause) {
          throw new Error(`Cannot read line ${index + 1} of the table of offences ${path}: ${cause}`, { cause })
        }
      })
  )

/** The table that comes with the app. */
export const builtIn = (): Law => load(new URL("../../bns.jsonl", import.meta.url))

/** How the section is cited in a report. */
export const citation = (offence: Offence): string => `Bharatiya Nyaya Sanhita, 2023, section ${offence.section}`
