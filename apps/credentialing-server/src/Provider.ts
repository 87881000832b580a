/**
 * A health care provider as it applies to be credentialed, and the generated set
 * that the server begins with.
 *
 * @module
 */
import { Schema } from "effect"
import { type Random, random } from "./internal/random.ts"

const Position = Schema.Struct({
  employer: Schema.String,
  role: Schema.String,
  /** Months as `YYYY-MM`; without an end, the provider works there still. */
  from: Schema.String,
  to: Schema.NullOr(Schema.String)
})
export type Position = typeof Position.Type

export const Provider = Schema.Struct({
  provider_id: Schema.String,
  npi: Schema.String,
  name: Schema.String,
  credential: Schema.String,
  specialty: Schema.String,
  state: Schema.String,
  licence_number: Schema.String,
  education: Schema.Struct({ school: Schema.String, degree: Schema.String, graduated: Schema.Int }),
  work_history: Schema.Array(Position)
})
export type Provider = typeof Provider.Type

const list = (text: string): ReadonlyArray<string> => text.split(", ")

const FIRST = list(
  "Amara, Benjamin, Carlos, Deepa, Elena, Farid, Grace, Hiroshi, Imani, James, Katarzyna, Liam, Mei, Nadia, Omar, Priya, Quentin, Rosa, Samuel, Tala, Uchenna, Valeria, Wei, Yusuf, Zofia"
)
const LAST = list(
  "Adeyemi, Baker, Castillo, Dubois, Eriksen, Fernandez, Goldberg, Hassan, Ivanova, Johnson, Kim, Lopez, Mehta, Nguyen, Okafor, Patel, Quinn, Rossi, Schmidt, Tanaka, Underwood, Varga, Wong, Yamamoto, Zhang"
)
const STATES = list("CA, NY, TX, FL, IL, PA, OH, WA, MA, GA, NC, MI")
const SCHOOLS = list(
  "Bayview University, Great Lakes Medical College, Hudson School of Medicine, Lone Star Health Sciences, Pacific Crest University, Piedmont College of Health, Rocky Mountain University, Susquehanna Medical School"
)
const EMPLOYERS = list(
  "Bayview General Hospital, Cedar Grove Clinic, Community Health Partners, Eastside Medical Group, Lakeshore Hospital, Mercy Regional Medical Center, Northgate Family Practice, Riverbend Health System, St. Anselm Hospital, Summit Specialty Care, University Hospital, Westfield Urgent Care"
)

/** What one becomes, by the training one had. */
const CAREERS = [
  {
    credential: "MD",
    degree: "Doctor of Medicine",
    role: "Attending",
    specialties: list(
      "Cardiology, Family Medicine, Internal Medicine, Neurology, Oncology, Pediatrics, Psychiatry, Surgery"
    )
  },
  {
    credential: "DO",
    degree: "Doctor of Osteopathic Medicine",
    role: "Attending",
    specialties: list("Emergency Medicine, Family Medicine, Internal Medicine")
  },
  {
    credential: "NP",
    degree: "Master of Science in Nursing",
    role: "Clinician",
    specialties: list("Family Medicine, Pediatrics, Psychiatry")
  },
  {
    credential: "PA",
    degree: "Master of Physician Assistant Studies",
    role: "Clinician",
    specialties: list("Emergency Medicine, Orthopedics, Surgery")
  }
]

const month = (year: number, monthOfYear: number): string => `${year}-${String(monthOfYear).padStart(2, "0")}`

/** The last digit of a National Provider Identifier: Luhn's, over the number with 80840 before it. */
const withCheckDigit = (nine: string): string => {
  let sum = 24
  for (let at = 8; at >= 0; at--) {
    const digit = Number(nine[at])
    const value = (8 - at) % 2 === 0 ? digit * 2 : digit
    sum += value > 9 ? value - 9 : value
  }
  return `${nine}${(10 - (sum % 10)) % 10}`
}

/** 7919 has no divisor in common with a power of ten, so no two numbers have one identifier. */
const npiOf = (number: number): string =>
  withCheckDigit(`1${String((number * 7919 + 10_203_040) % 100_000_000).padStart(8, "0")}`)

/** Positions one after another, from graduation until today. */
const workHistory = (draw: Random, graduated: number, role: string): ReadonlyArray<Position> => {
  const positions: Array<Position> = []
  let year = graduated
  let monthOfYear = 7
  const count = draw.whole(1, 4)
  for (let index = 0; index < count && year < 2022; index++) {
    const from = month(year, monthOfYear)
    const isLast = index === count - 1
    year = isLast ? 2026 : Math.min(2024, year + draw.whole(2, 8))
    positions.push({
      employer: draw.oneOf(EMPLOYERS),
      role: index === 0 ? "Resident" : role,
      from,
      to: isLast || year === 2024 ? null : month(year, monthOfYear)
    })
    if (year >= 2024) break
    // Between two positions one moves house.
    monthOfYear = Math.min(12, monthOfYear + draw.whole(0, 3))
  }
  return positions
}

export const idOf = (number: number): string => `provider_${String(number).padStart(3, "0")}`

/** The number in an id, where there is one. */
export const numberOf = (id: string): number | undefined => {
  const digits = /^provider_(\d{3,9})$/.exec(id)?.[1]
  return digits === undefined || idOf(Number(digits)) !== id ? undefined : Number(digits)
}

/** The provider of a number, from 1: the same for the same seed, whatever else is generated. */
export const generate = (number: number, seed: number): Provider => {
  const draw = random(seed, number)
  const career = draw.oneOf(CAREERS)
  const graduated = draw.whole(1988, 2019)
  const state = draw.oneOf(STATES)
  const name = `${draw.oneOf(FIRST)} ${draw.oneOf(LAST)}`
  return {
    provider_id: idOf(number),
    npi: npiOf(number),
    name,
    credential: career.credential,
    specialty: draw.oneOf(career.specialties),
    state,
    licence_number: `${state}-${career.credential}-${String(100_000 + number)}`,
    education: { school: draw.oneOf(SCHOOLS), degree: career.degree, graduated },
    work_history: workHistory(draw, graduated, career.role)
  }
}
