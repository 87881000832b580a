/**
 * What the models are asked, and how the embedded one reads it.
 *
 * What a user wrote stands between marks, and only the first opening and the last
 * closing mark count, so nothing written inside can end its block early.
 *
 * @module
 */
import { type Facts, FIELDS } from "./Facts.ts"
import type { Offence } from "./law/Law.ts"

export type Task = "summary" | "clause check" | "narrative" | "statement check"

export interface Request {
  readonly model: "summariser" | "bns_check" | "fir_summariser"
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature: number
}

const block = (name: string, text: string): string => (text === "" ? "" : `<${name}>\n${text}\n</${name}>\n`)

export const readBlock = (prompt: string, name: string): string => {
  const start = prompt.indexOf(`<${name}>\n`)
  const end = prompt.lastIndexOf(`\n</${name}>`)
  return start < 0 || end < start ? "" : prompt.slice(start + name.length + 3, end)
}

const factLines = (facts: Facts): string =>
  FIELDS.flatMap((field) => (facts[field] === undefined ? [] : [`${field}: ${facts[field]}`])).join("\n")

export const readFactLines = (text: string): Facts => {
  const found: { [F in (typeof FIELDS)[number]]?: string } = {}
  for (const line of text.split("\n")) {
    const at = line.indexOf(": ")
    const field = FIELDS.find((field) => field === line.slice(0, at))
    if (field !== undefined) found[field] = line.slice(at + 2)
  }
  return found
}

export const summary = (complaint: string, facts: Facts, notes: string): Request => ({
  model: "summariser",
  maxTokens: 100,
  temperature: 0.1,
  prompt: `Task: summary
Summarise the complaint in two sentences, in its own language. State only what it says.
${block("facts", factLines(facts))}${block("officer", notes)}${block("complaint", complaint)}`
})

export const clauseCheck = (complaint: string, offence: Offence, notes: string): Request => ({
  model: "bns_check",
  maxTokens: 3,
  temperature: 0,
  prompt: `Task: clause check
Does section ${offence.section} of the Bharatiya Nyaya Sanhita, 2023 (${offence.title}) apply to the complaint? Every element must show; the wordings are examples.
${block("elements", offence.elements.map((element) => element.join("; ")).join("\n"))}${block("unless", offence.unless.join("; "))}${block("officer", notes)}${block("complaint", complaint)}Answer YES or NO.`
})

export const narrative = (
  complaint: string,
  facts: Facts,
  summaryText: string,
  sections: ReadonlyArray<string>,
  notes: string
): Request => ({
  model: "fir_summariser",
  maxTokens: 150,
  temperature: 0.2,
  prompt: `Task: narrative
Write the narrative of a First Information Report in at most three sentences, in the language of the complaint. State only what the complaint says.
${block("sections", sections.join("\n"))}${block("facts", factLines(facts))}${block("summary", summaryText)}${block("officer", notes)}${block("complaint", complaint)}`
})

export const statementCheck = (complaint: string, statement: string, notes: string): Request => ({
  model: "bns_check",
  maxTokens: 3,
  temperature: 0,
  prompt: `Task: statement check
Does the complaint, or what the officer added, say what the statement says?
${block("statement", statement)}${block("officer", notes)}${block("complaint", complaint)}Answer YES or NO.`
})

export const taskOf = (prompt: string): Task | undefined => {
  const found = /^Task: (summary|clause check|narrative|statement check)\n/.exec(prompt)?.[1]
  switch (found) {
    case "summary":
    case "clause check":
    case "narrative":
    case "statement check":
      return found
    default:
      return undefined
  }
}
