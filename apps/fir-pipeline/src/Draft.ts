/**
 * A report in the making: what has been made and approved so far, what of it the
 * officer sees at a step, and how his edits change it.
 *
 * @module
 */
import { Data, Effect, Schema } from "effect"
import { extract, type Facts } from "./Facts.ts"
import { citation, type Law, type Offence, type Proposal } from "./law/Law.ts"
import { missing, type Violation } from "./Report.ts"

/** What the officer wrote cannot be followed. */
export class BadEdit extends Data.TaggedError("BadEdit")<{ readonly detail: string }> {}

const ViolationSchema = Schema.Struct({
  section: Schema.String,
  title: Schema.String,
  punishment: Schema.String,
  cognizable: Schema.String,
  bailable: Schema.String,
  court: Schema.String,
  citation: Schema.String,
  score: Schema.Number,
  reason: Schema.String,
  status: Schema.Literals(["confirmed", "unchecked"])
})

const Considered = Schema.Struct({
  section: Schema.String,
  title: Schema.String,
  score: Schema.Number,
  reason: Schema.String
})

export const Draft = Schema.Struct({
  transcript: Schema.String,
  /** What the transcript was read or heard from, if it was not typed. */
  source: Schema.optionalKey(Schema.Literals(["image", "audio"])),
  notes: Schema.Array(Schema.Struct({ step: Schema.String, text: Schema.String })),
  summary: Schema.optionalKey(Schema.String),
  violations: Schema.optionalKey(Schema.Array(ViolationSchema)),
  considered: Schema.optionalKey(Schema.Array(Considered)),
  narrative: Schema.optionalKey(Schema.String),
  unsupported: Schema.optionalKey(Schema.Array(Schema.String)),
  unchecked: Schema.optionalKey(Schema.Array(Schema.String)),
  firNumber: Schema.optionalKey(Schema.String),
  firContent: Schema.optionalKey(Schema.String)
})
export type Draft = typeof Draft.Type
const DraftJson = Schema.fromJsonString(Draft)
export const decode = Schema.decodeUnknownEffect(DraftJson)

export type Content = { readonly [key: string]: unknown }

export const notesText = (draft: Draft): string => draft.notes.map(({ text }) => text).join("\n")
export const factsOf = (draft: Draft): Facts => extract(draft.transcript, notesText(draft))

export const contentOf = (step: string, draft: Draft): Content => {
  const facts = factsOf(draft)
  switch (step) {
    case "transcript_review":
      return {
        transcript: draft.transcript,
        ...(draft.source === undefined ? {} : { source: draft.source }),
        facts,
        missing: missing(facts)
      }
    case "summary_review":
      return { summary: draft.summary, original_transcript: draft.transcript, facts, missing: missing(facts) }
    case "violations_review":
      return { violations: draft.violations, considered: draft.considered, summary: draft.summary }
    case "fir_narrative_review":
      return { fir_narrative: draft.narrative, violations: draft.violations }
    case "final_review":
    case "completed":
      return {
        fir_content: draft.firContent,
        fir_number: draft.firNumber,
        missing: missing(facts),
        unsupported_statements: draft.unsupported ?? [],
        unchecked_statements: draft.unchecked ?? []
      }
    default:
      return {}
  }
}

export const reasonOf = ({ elementsFound, found, offence }: Proposal): string =>
  `${elementsFound} of ${offence.elements.length} elements show: ${found.slice(0, 6).join(", ").replaceAll("*", "")}`

export const violation = (proposal: Proposal, status: Violation["status"]): Violation => ({
  section: proposal.offence.section,
  title: proposal.offence.title,
  punishment: proposal.offence.punishment,
  cognizable: proposal.offence.cognizable,
  bailable: proposal.offence.bailable,
  court: proposal.offence.court,
  citation: citation(proposal.offence),
  score: proposal.score,
  reason: reasonOf(proposal),
  status
})

const chosen = (offence: Offence): Violation => ({
  section: offence.section,
  title: offence.title,
  punishment: offence.punishment,
  cognizable: offence.cognizable,
  bailable: offence.bailable,
  court: offence.court,
  citation: citation(offence),
  score: 0,
  reason: "chosen by the officer",
  status: "confirmed"
})

const TRANSCRIPT = /^[^\S\n]*Transcript[^\S\n]*:[^\S\n]*/imu

/**
 * What the officer wrote, parted: from a line `Transcript:` on, it is the whole transcript as it should be; what is before
 * it are notes.
 */
export const parted = (input: string): { readonly notes: string; readonly transcript: string | undefined } => {
  const found = TRANSCRIPT.exec(input)
  if (found === null) return { notes: input, transcript: undefined }
  return { notes: input.slice(0, found.index).trim(), transcript: input.slice(found.index + found[0].length).trim() }
}

/** Takes what the officer wrote at a step into the draft. */
export const note = (law: Law, draft: Draft, step: string, input: string): Effect.Effect<Draft, BadEdit> =>
  Effect.suspend(() => {
    const { notes, transcript } = parted(input)
    if (transcript !== undefined && step !== "transcript_review") {
      return Effect.fail(new BadEdit({ detail: "The transcript can be corrected while it is reviewed" }))
    }
    if (transcript === "") return Effect.fail(new BadEdit({ detail: "A transcript cannot be empty" }))
    const noted = notes === "" ? draft : { ...draft, notes: [...draft.notes, { step, text: notes }] }
    return edit(law, transcript === undefined ? noted : { ...noted, transcript }, notes)
  })

/** Follows the lines by which an officer changes what was made: sections, summary and narrative. */
const edit = (law: Law, draft: Draft, input: string): Effect.Effect<Draft, BadEdit> =>
  Effect.gen(function* () {
    let edited = draft
    for (const line of input.split("\n")) {
      const match = /^\s*(Add sections?|Remove sections?|Summary|Narrative)\s*:\s*(\S.*)$/iu.exec(line)
      const [, command = "", value = ""] = match ?? []
      switch (command.toLowerCase().replace(/s$/, "")) {
        case "summary":
          edited = { ...edited, summary: value.trim() }
          break
        case "narrative":
          edited = { ...edited, narrative: value.trim() }
          break
        case "add section":
        case "remove section": {
          if (edited.violations === undefined) {
            return yield* new BadEdit({ detail: "Sections can be changed once they were proposed" })
          }
          const sections = value.split(/[,;]/).map((section) => section.trim())
          const unknown = sections.filter((section) => law.section(section) === undefined)
          if (unknown.length > 0) {
            return yield* new BadEdit({
              detail: `The table of offences has no section ${unknown.join(", ").slice(0, 200)}`
            })
          }
          const others = edited.violations.filter(({ section }) => !sections.includes(section))
          const added = sections.flatMap((section) => {
            const offence = law.section(section)
            return offence === undefined
              ? []
              : [edited.violations?.find((known) => known.section === section) ?? chosen(offence)]
          })
          edited = { ...edited, violations: /^add/i.test(command) ? [...others, ...added] : others }
          break
        }
      }
    }
    return edited
  })
