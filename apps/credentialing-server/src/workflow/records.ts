// What the registries answer, as they send it.
import { Schema } from "effect"

export const LicenceRecord = Schema.Struct({
  number: Schema.String,
  holder: Schema.String,
  state: Schema.String,
  status: Schema.Literals(["active", "expired", "suspended", "revoked"]),
  /** A day, as `YYYY-MM-DD`. */
  expires: Schema.String,
  actions: Schema.Array(Schema.String)
})
export type LicenceRecord = typeof LicenceRecord.Type

export const SanctionsRecord = Schema.Struct({
  npi: Schema.String,
  matches: Schema.Array(
    Schema.Struct({ list: Schema.String, since: Schema.String, lifted: Schema.NullOr(Schema.String) })
  )
})
export type SanctionsRecord = typeof SanctionsRecord.Type

export const EducationRecord = Schema.Struct({
  npi: Schema.String,
  awards: Schema.Array(Schema.Struct({ school: Schema.String, degree: Schema.String, year: Schema.Int }))
})
export type EducationRecord = typeof EducationRecord.Type

export const EmploymentRecord = Schema.Struct({
  npi: Schema.String,
  positions: Schema.Array(
    Schema.Struct({ employer: Schema.String, from: Schema.String, to: Schema.NullOr(Schema.String) })
  )
})
export type EmploymentRecord = typeof EmploymentRecord.Type

/** What each check reads. `null` where the registry knows of nothing. */
export interface Records {
  readonly licence: LicenceRecord | null
  readonly sanctions: SanctionsRecord | null
  readonly education: EducationRecord | null
  readonly work_history: EmploymentRecord | null
}
