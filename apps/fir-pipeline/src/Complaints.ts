/**
 * Complaints to try the pipeline with, and what a right report of each says.
 *
 * They were written for this; no person in them exists.
 *
 * @module
 */
import { readFileSync } from "node:fs"
import { Schema } from "effect"

export const Complaint = Schema.Struct({
  id: Schema.NonEmptyString,
  language: Schema.NonEmptyString,
  text: Schema.NonEmptyString,
  expect: Schema.Struct({
    complainant: Schema.NonEmptyString,
    place: Schema.NonEmptyString,
    sections: Schema.Array(Schema.NonEmptyString)
  })
})
export type Complaint = typeof Complaint.Type

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Complaint))

/** Where they stand: one JSON object a line. */
export const file: URL = new URL("../complaints.jsonl", import.meta.url)

export const load = (path: string | URL = file): ReadonlyArray<Complaint> =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => decode(line))
