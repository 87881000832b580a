/**
 * Rows of data for users: from CSV, from lines of JSON, or as they stand in the scenario.
 *
 * @module
 */
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { Data } from "effect"
import type { Share } from "../engine/Arrivals.ts"
import { random } from "../engine/Random.ts"

/** How rows are given out: one after another and again from the first, each once, or drawn. */
export type Order = "sequential" | "once" | "random"

interface Ordered {
  readonly order?: Order
}

/** A file with a line of names; its path counts from the scenario's folder. */
export interface CsvFeed extends Ordered {
  readonly csv: string
}

/** A file with an object in each line. */
export interface JsonLinesFeed extends Ordered {
  readonly jsonl: string
}

export interface RowsFeed<Row> extends Ordered {
  readonly rows: ReadonlyArray<Row>
}

export type FeedSpec = CsvFeed | JsonLinesFeed | RowsFeed<unknown>

/** What a row of a feed is. */
export type RowOf<Spec extends FeedSpec> =
  Spec extends RowsFeed<infer Row>
    ? Row
    : Spec extends CsvFeed
      ? Readonly<Record<string, string>>
      : Readonly<Record<string, unknown>>

export class BadFeed extends Data.TaggedError("@sluice/load-tester/BadFeed")<{ readonly message: string }> {}

/** The fields of all lines of a CSV text. A field in quotes may hold commas, line ends and doubled quotes. */
export const csvRecords = (text: string): Array<Array<string>> => {
  const records: Array<Array<string>> = []
  let record: Array<string> = []
  let field = ""
  let isQuoted = false
  const endField = (): void => {
    record.push(field)
    field = ""
  }
  const endRecord = (): void => {
    endField()
    if (record.length > 1 || record[0] !== "") records.push(record)
    record = []
  }
  for (let at = text.startsWith("\ufeff") ? 1 : 0; at < text.length; at++) {
    const character = text[at]
    if (isQuoted) {
      if (character !== '"') field += character
      else if (text[at + 1] === '"') field += text[++at]
      else isQuoted = false
    } else if (character === '"' && field === "") isQuoted = true
    else if (character === ",") endField()
    else if (character === "\n") endRecord()
    else if (character !== "\r" || text[at + 1] !== "\n") field += character
  }
  if (field !== "" || record.length > 0) endRecord()
  return records
}

/** Rows by the names in the first line. */
export const parseCsv = (text: string): ReadonlyArray<Readonly<Record<string, string>>> => {
  const [names = [], ...records] = csvRecords(text)
  return records.map((record) => Object.fromEntries(names.map((name, index) => [name.trim(), record[index] ?? ""])))
}

const parseJsonLines = (text: string, path: string): ReadonlyArray<unknown> =>
  text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return []
    try {
      return [JSON.parse(line) as unknown]
    } catch {
      throw new BadFeed({ message: `Cannot read line ${index + 1} of ${path}: it is not JSON` })
    }
  })

const rowsOf = (spec: FeedSpec, folder: string): ReadonlyArray<unknown> => {
  if ("rows" in spec) return spec.rows
  const path = resolve(folder, "csv" in spec ? spec.csv : spec.jsonl)
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (cause) {
    throw new BadFeed({ message: `Cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}` })
  }
  return "csv" in spec ? parseCsv(text) : parseJsonLines(text, path)
}

/**
 * Gives out rows. Where the load is shared out, so are the rows in order: each falls to one share, so that what all take
 * together is what one alone would.
 */
export const open = (name: string, spec: FeedSpec, folder: string, share: Share, seed: number): (() => unknown) => {
  const rows = rowsOf(spec, folder)
  if (rows.length === 0) throw new BadFeed({ message: `Cannot feed ${name}: it has no rows` })
  if (spec.order === "random") {
    const draw = random(seed + share.index)
    return () => rows[Math.floor(draw() * rows.length)]
  }
  let next = share.index
  return () => {
    const at = next
    next += share.of
    if (at >= rows.length && spec.order === "once") {
      throw new BadFeed({ message: `Cannot feed ${name}: all of its ${rows.length} rows were given out` })
    }
    return rows[at % rows.length]
  }
}
