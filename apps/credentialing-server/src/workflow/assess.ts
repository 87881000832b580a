// What a registry's record says of an application. Pure, one function a check.
import type { Check, Finding, FindingStatus } from "../Outcome.ts"
import type { Provider } from "../Provider.ts"
import type { EducationRecord, EmploymentRecord, LicenceRecord, Records, SanctionsRecord } from "./records.ts"

const DAY = 24 * 60 * 60 * 1000
/** A licence that ends sooner would end while its holder is being enrolled. */
const SOON = 60 * DAY
/** Between two positions, one that is longer has to be explained. */
const GAP_MONTHS = 6

const finding = (check: Check, failed: ReadonlyArray<string>, flagged: ReadonlyArray<string>): Finding => {
  const status: FindingStatus = failed.length > 0 ? "failed" : flagged.length > 0 ? "flagged" : "passed"
  return { check, status, reasons: [...failed, ...flagged] }
}

const sameText = (a: string, b: string): boolean => a.trim().toLowerCase() === b.trim().toLowerCase()

const licence = (provider: Provider, record: LicenceRecord | null, nowMillis: number): Finding => {
  if (record === null) return finding("licence", [`There is no licence ${provider.licence_number}`], [])
  const failed: Array<string> = []
  const flagged: Array<string> = []
  const left = Date.parse(record.expires) - nowMillis
  if (record.status === "revoked" || record.status === "suspended") failed.push(`The licence is ${record.status}`)
  else if (record.status === "expired" || left < 0) failed.push(`The licence expired on ${record.expires}`)
  else if (left < SOON) flagged.push(`The licence expires on ${record.expires}`)
  if (!sameText(record.holder, provider.name)) flagged.push(`The licence is held in the name of ${record.holder}`)
  if (record.state !== provider.state) flagged.push(`The licence is of the state ${record.state}`)
  for (const action of record.actions) flagged.push(`Disciplinary action: ${action}`)
  return finding("licence", failed, flagged)
}

const sanctions = (record: SanctionsRecord | null): Finding => {
  const matches = record?.matches ?? []
  return finding(
    "sanctions",
    matches.filter(({ lifted }) => lifted === null).map(({ list, since }) => `Excluded by ${list} since ${since}`),
    matches.flatMap(({ lifted, list }) => (lifted === null ? [] : [`An exclusion by ${list} was lifted on ${lifted}`]))
  )
}

const education = ({ education: stated }: Provider, record: EducationRecord | null): Finding => {
  const awards = (record?.awards ?? []).filter(
    ({ degree, school }) => sameText(degree, stated.degree) && sameText(school, stated.school)
  )
  if (awards.length === 0) {
    return finding("education", [`${stated.school} has no record of a ${stated.degree}`], [])
  }
  return awards.some(({ year }) => Math.abs(year - stated.graduated) <= 1)
    ? finding("education", [], [])
    : finding("education", [], [`Graduated in ${awards[0]?.year}, not in ${stated.graduated}`])
}

const monthsOf = (month: string): number => Number(month.slice(0, 4)) * 12 + Number(month.slice(5, 7))

/** Gaps in what is stated, as sentences. Positions may overlap and come in any order. */
const gaps = ({ work_history }: Provider): ReadonlyArray<string> => {
  const positions = [...work_history].sort((a, b) => monthsOf(a.from) - monthsOf(b.from))
  const found: Array<string> = []
  let covered: string | null | undefined
  for (const { from, to } of positions) {
    if (covered !== undefined && covered !== null && monthsOf(from) - monthsOf(covered) > GAP_MONTHS) {
      found.push(`Nothing is stated from ${covered} to ${from}`)
    }
    if (covered === undefined || to === null || (covered !== null && monthsOf(to) > monthsOf(covered))) covered = to
  }
  return found
}

const workHistory = (provider: Provider, record: EmploymentRecord | null): Finding => {
  const known = record?.positions ?? []
  const unconfirmed = provider.work_history.filter(
    ({ employer, from }) =>
      !known.some((position) => sameText(position.employer, employer) && monthsOf(position.from) === monthsOf(from))
  )
  const sentences = unconfirmed.map(({ employer, from }) => `${employer} does not confirm the position of ${from}`)
  const isNone = provider.work_history.length > 0 && unconfirmed.length === provider.work_history.length
  return isNone
    ? finding("work_history", ["No stated position is confirmed", ...sentences], gaps(provider))
    : finding("work_history", [], [...sentences, ...gaps(provider)])
}

/** The finding of one check, of what its registry says. */
export const assess = <C extends Check>(check: C, provider: Provider, record: Records[C], nowMillis: number): Finding =>
  assessors[check](provider, record, nowMillis)

type Assessors = { readonly [C in Check]: (provider: Provider, record: Records[C], nowMillis: number) => Finding }
const assessors: Assessors = {
  licence,
  sanctions: (_, record) => sanctions(record),
  education: (provider, record) => education(provider, record),
  work_history: (provider, record) => workHistory(provider, record)
}

/** The finding where the registry gave no answer. */
export const unavailable = (check: Check, reason: string): Finding => ({
  check,
  status: "unavailable",
  reasons: [reason]
})
