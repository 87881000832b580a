// The rules of the embedded model server: what a language model would be asked,
// answered from the words of the complaint alone. It picks sentences, it compares
// wordings, and it puts together no fact that was not handed to it.
import type { Facts } from "../Facts.ts"
import { applies, type Law } from "../law/Law.ts"
import { read, wording, words } from "../law/wording.ts"
import { readBlock, readFactLines, type Task } from "../Prompt.ts"
import { sentences } from "../sentences.ts"

const isHindi = (text: string): boolean => {
  const letters = text.match(/\p{L}/gu)?.length ?? 0
  return (text.match(/[\u0900-\u097f]/g)?.length ?? 0) > letters / 3
}

/** Address, greeting and request, which say nothing about what happened. */
const FORMAL = /^(?:To[ ,]|Dear |Sir|Respected|I request|I pray|Kindly|Please|सेवा में|महोदय|कृपया|मुझे न्याय)/u

/** How many of the offences that fit best decide which sentences matter. */
const OFFENCES = 4

/** The sentences that say most about the offences of the complaint, in its order. */
const telling = (law: Law, complaint: string, count: number): ReadonlyArray<string> => {
  const ranked = law.rank(complaint, OFFENCES)
  const whole = ranked.filter(
    ({ against, elementsFound, offence }) => against.length === 0 && elementsFound === offence.elements.length
  )
  const signs = (whole.length === 0 ? ranked : whole).flatMap(({ found }, place) =>
    found.map((source) => ({ wording: wording(source), weight: OFFENCES - place }))
  )
  const scored = sentences(complaint).map((text, index) => {
    const reading = read(text)
    const formal = FORMAL.test(text) ? -1 : 0
    const score = signs.reduce((sum, sign) => sum + (reading.count(sign.wording, 1) === 0 ? 0 : sign.weight), formal)
    return { text, index, score }
  })
  return scored
    .toSorted((a, b) => b.score - a.score)
    .slice(0, count)
    .toSorted((a, b) => a.index - b.index)
    .map(({ text }) => text)
}

const opening = (facts: Facts, hindi: boolean): string => {
  const { complainantName, fatherOrHusband, incidentDate, incidentTime, place } = facts
  const who = [complainantName, fatherOrHusband].filter((part) => part !== undefined).join(", ")
  if (hindi) {
    const what = [
      incidentDate === undefined ? "" : `दिनांक ${incidentDate}`,
      incidentTime === undefined ? "" : `समय ${incidentTime}`,
      place === undefined ? "" : `स्थान ${place}`
    ].filter((part) => part !== "")
    return `${who === "" ? "शिकायतकर्ता" : who} ने ${what.length === 0 ? "" : `${what.join(", ")} की `}घटना की सूचना दी।`
  }
  const what = [
    incidentDate === undefined ? "" : `on ${incidentDate}`,
    incidentTime === undefined ? "" : `at ${incidentTime}`,
    place === undefined ? "" : `at ${place}`
  ].filter((part) => part !== "")
  return `${who === "" ? "The complainant" : who} reports an incident${what.length === 0 ? "" : ` ${what.join(" ")}`}.`
}

const tell = (law: Law, prompt: string, count: number): string => {
  const complaint = readBlock(prompt, "complaint")
  const facts = readFactLines(readBlock(prompt, "facts"))
  return [opening(facts, isHindi(complaint)), ...telling(law, complaint, count)].join(" ")
}

const checkClause = (prompt: string): string => {
  const text = `${readBlock(prompt, "complaint")}\n${readBlock(prompt, "officer")}`
  const list = (line: string): ReadonlyArray<string> => line.split("; ").filter((part) => part !== "")
  const elements = readBlock(prompt, "elements").split("\n").map(list)
  return applies(elements, list(readBlock(prompt, "unless")), read(text)) ? "YES" : "NO"
}

/** Names, numbers and Indian words of the statement must stand in the complaint; nearly all, where forms may differ. */
const checkStatement = (prompt: string): string => {
  const statement = readBlock(prompt, "statement")
  const known = new Set(words(`${readBlock(prompt, "complaint")}\n${readBlock(prompt, "officer")}`))
  const hard = [
    ...words(statement).filter((word) => /\d/.test(word)),
    ...words((statement.match(/(?<=\p{Ll}\s)\p{Lu}[\p{L}\p{M}]+/gu) ?? []).join(" "))
  ]
  if (hard.some((word) => !known.has(word))) return "NO"
  const soft = words(statement).filter((word) => word.length > 3)
  const found = soft.filter((word) => known.has(word)).length
  return soft.length === 0 || found / soft.length >= 0.5 ? "YES" : "NO"
}

export const answer = (law: Law, task: Task, prompt: string): string => {
  switch (task) {
    case "summary":
      return tell(law, prompt, 1)
    case "narrative":
      return tell(law, prompt, 2)
    case "clause check":
      return checkClause(prompt)
    case "statement check":
      return checkStatement(prompt)
  }
}
