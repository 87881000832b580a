// An answer without a language model: sentences over the facts. Pure.
import type { Result, Summary } from "../Store.ts"
import type { Facts, Subject } from "./facts.ts"

const day = (millis: number): string => new Date(millis).toISOString().slice(0, 10)

const reasons = ({ findings }: Result): string => {
  const told = findings
    .filter(({ status }) => status !== "passed")
    .map(({ check, reasons, status }) => `${check.replace("_", " ")} ${status} (${reasons.join("; ")})`)
  return told.length === 0 ? "every check passed" : told.join(", ")
}

const ofSubject = ({ provider, result }: Subject): string => {
  const who = `${provider.name}, ${provider.credential} (${provider.provider_id}, ${provider.specialty}, ${provider.state})`
  return result === undefined
    ? `${who} has not been credentialed yet.`
    : `${who} was decided on ${day(result.finished_at)}: ${result.decision}, with a risk of ${result.risk_score} of 100: ${reasons(result)}.`
}

const ofSummary = ({ byStatus, providers, results }: Summary): string =>
  `Of ${providers} providers, ${byStatus.map(({ count, name }) => `${count} are ${name.replace("_", " ")}`).join(", ")}; ${results} results are kept.`

/** The answer to a question, of the facts that were gathered for it. */
export const answer = (facts: Facts): string => {
  const sentences: Array<string> = []
  for (const id of facts.unknown) sentences.push(`There is no provider ${id}.`)
  sentences.push(...facts.subjects.map(ofSubject))
  if (facts.decision !== undefined && facts.subjects.length === 0) {
    const names = facts.decided.map(({ name, provider_id }) => `${name} (${provider_id})`)
    const more = facts.decidedTotal - names.length
    sentences.push(
      facts.decidedTotal === 0
        ? `There are no providers whose newest decision is ${facts.decision}.`
        : `${facts.decidedTotal} providers have ${facts.decision} as their newest decision: ${names.join(", ")}${more > 0 ? `, and ${more} more` : ""}.`
    )
  }
  for (const { batch_id, completed, failed, status, total } of facts.batches) {
    sentences.push(`Batch ${batch_id} is ${status}: ${completed} of ${total} items done, ${failed} failed.`)
  }
  if (sentences.length === 0) sentences.push(ofSummary(facts.summary))
  return sentences.join(" ")
}

/** The facts as lines, for a model to answer from. */
export const brief = (facts: Facts): string =>
  [
    ofSummary(facts.summary),
    ...facts.unknown.map((id) => `There is no provider ${id}.`),
    ...facts.subjects.map(ofSubject),
    ...facts.decided.map(({ name, provider_id, status }) => `${name} (${provider_id}): ${status}.`),
    ...facts.batches.map(
      ({ batch_id, completed, failed, status, total }) =>
        `Batch ${batch_id} is ${status}: ${completed} of ${total} items done, ${failed} failed.`
    )
  ].join("\n")
