/**
 * The report as text: what the officer approved, and nothing else.
 *
 * @module
 */
import { type Facts, type Field, REQUIRED } from "./Facts.ts"

export interface Violation {
  readonly section: string
  readonly title: string
  readonly punishment: string
  readonly cognizable: string
  readonly bailable: string
  readonly court: string
  readonly citation: string
  /** How well the complaint fits, for ordering; higher is better. */
  readonly score: number
  readonly reason: string
  /** `unchecked`: the model did not answer in time, so the officer must decide. */
  readonly status: "confirmed" | "unchecked"
}

export interface ReportInput {
  readonly firNumber: string
  readonly registeredAt: number
  readonly facts: Facts
  readonly complaint: string
  /** What the complaint was read or heard from, if it was not written here. */
  readonly source?: "image" | "audio" | undefined
  readonly summary: string
  readonly narrative: string
  readonly violations: ReadonlyArray<Violation>
}

export const MISSING = "[MISSING]"

/** The required fields for which nothing was found. */
export const missing = (facts: Facts): ReadonlyArray<Field> => REQUIRED.filter((field) => facts[field] === undefined)

const SOURCES = {
  image: "an image, whose text was read by a machine and reviewed by the officer",
  audio: "a recording, which was transcribed by a machine and reviewed by the officer"
} as const

const stamp = (millis: number): string => new Date(millis).toISOString().replace("T", " ").slice(0, 19)

export const render = ({
  complaint,
  facts,
  firNumber,
  narrative,
  registeredAt,
  source,
  summary,
  violations
}: ReportInput): string => {
  const field = (name: Field): string => facts[name] ?? MISSING
  const sections =
    violations.length === 0
      ? [`   ${MISSING} (no section was found or approved)`]
      : violations.flatMap(({ bailable, citation, cognizable, court, punishment, section, status, title }) => [
          `   BNS ${section}: ${title}${status === "unchecked" ? " [NOT CHECKED BY THE MODEL]" : ""}`,
          `      Punishment: ${punishment}`,
          `      Cognizable: ${cognizable} | Bailable: ${bailable} | Triable by: ${court}`,
          `      Source: ${citation}`
        ])
  const absent = missing(facts)
  return [
    "FIRST INFORMATION REPORT",
    "(Under section 173 of the Bharatiya Nagarik Suraksha Sanhita, 2023)",
    "",
    `FIR number: ${firNumber}`,
    `Year: ${stamp(registeredAt).slice(0, 4)}`,
    `Police station: ${field("policeStation")}`,
    `District: ${field("district")}`,
    `State: ${field("state")}`,
    `Information received: ${stamp(registeredAt)} UTC`,
    "",
    "1. COMPLAINANT",
    `   Name: ${field("complainantName")}`,
    `   Father or husband: ${field("fatherOrHusband")}`,
    `   Date of birth or age: ${facts.dateOfBirth ?? facts.age ?? MISSING}`,
    `   Nationality: ${field("nationality")}`,
    `   Address: ${field("address")}`,
    `   Contact: ${field("contact")}`,
    `   Passport: ${field("passport")}`,
    `   Occupation: ${field("occupation")}`,
    "",
    "2. INCIDENT",
    `   Date: ${field("incidentDate")}`,
    `   From: ${field("incidentTime")}`,
    `   To: ${field("incidentEnd")}`,
    `   Place: ${field("place")}`,
    `   Property and amounts: ${field("property")}`,
    `   Vehicles: ${field("vehicles")}`,
    `   Reason of delay: ${field("reasonOfDelay")}`,
    `   Summary: ${summary}`,
    `   Description: ${narrative}`,
    "",
    "3. ACTS AND SECTIONS",
    ...sections,
    "",
    "4. SUSPECTS",
    `   ${field("suspects")}`,
    "",
    "5. OFFICER, WITNESSES, ACTION",
    `   Officer: ${field("officer")}`,
    `   Witnesses: ${field("witnesses")}`,
    `   Action taken: ${field("actionTaken")}`,
    "",
    "6. THE COMPLAINT, IN ITS OWN WORDS",
    ...(source === undefined ? [] : [`   Received as: ${SOURCES[source]}`]),
    ...complaint.split("\n").map((line) => `   ${line}`),
    "",
    ...(absent.length === 0 ? [] : [`TO BE SUPPLIED BEFORE SIGNING: ${absent.join(", ")}`, ""]),
    "Signature or thumb impression of the complainant: ____________________",
    "Signature of the officer in charge: ____________________",
    ""
  ].join("\n")
}
