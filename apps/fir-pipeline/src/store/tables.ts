// The rows as the database has them, and what the rest of the app makes of them.
import type { Generated } from "kysely"
import type { Fir, FirStatus, HistoryEntry, Session, SessionStatus, Version } from "../Store.ts"

export interface Tables {
  readonly sessions: {
    readonly session_id: string
    readonly step: string
    readonly status: SessionStatus
    readonly version: number
    readonly state: string
    readonly urgent: number
    readonly text_mark: string
    readonly created_at: number
    readonly last_activity: number
  }
  readonly session_versions: {
    readonly session_id: string
    readonly version: number
    readonly step: string
    readonly state: string
    readonly made_at: number
  }
  readonly validation_history: {
    readonly id: Generated<number>
    readonly session_id: string
    readonly step: string
    readonly action: string
    readonly done_by: string
    readonly done_at: number
    readonly version: number
    readonly input: string | null
  }
  readonly fir_records: {
    readonly id: Generated<number>
    readonly fir_number: string
    readonly session_id: string
    readonly complaint_text: string
    readonly fir_content: string
    readonly violations_json: string
    readonly status: FirStatus
    readonly created_at: number
    readonly finalized_at: number | null
  }
  readonly answers: {
    readonly request_key: string
    readonly fingerprint: string
    readonly answer: string
    readonly created_at: number
  }
}

export const toSession = (row: Tables["sessions"]): Session => ({
  sessionId: row.session_id,
  step: row.step,
  status: row.status,
  version: row.version,
  state: row.state,
  urgent: row.urgent === 1,
  textMark: row.text_mark,
  createdAt: row.created_at,
  lastActivity: row.last_activity
})

export const toVersion = (row: Tables["session_versions"]): Version => ({
  version: row.version,
  step: row.step,
  state: row.state,
  at: row.made_at
})

export const toEntry = (row: Omit<Tables["validation_history"], "id">): HistoryEntry => ({
  step: row.step,
  action: row.action,
  by: row.done_by,
  at: row.done_at,
  version: row.version,
  input: row.input
})

export const toFir = (row: Omit<Tables["fir_records"], "id">): Fir => ({
  firNumber: row.fir_number,
  sessionId: row.session_id,
  complaintText: row.complaint_text,
  firContent: row.fir_content,
  violationsJson: row.violations_json,
  status: row.status,
  createdAt: row.created_at,
  finalizedAt: row.finalized_at
})
