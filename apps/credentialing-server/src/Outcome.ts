/**
 * What the findings of the checks come to. Pure: the same findings give the same
 * decision, in whatever order they came.
 *
 * @module
 */
import { Schema } from "effect"

/** What is checked, each at a registry of its own. */
export const CHECKS = ["licence", "sanctions", "education", "work_history"] as const
export type Check = (typeof CHECKS)[number]

/**
 * `passed`: nothing speaks against it. `flagged`: a person should look at it. `failed`: it rules the provider out.
 * `unavailable`: the registry did not answer, so nothing is known.
 */
export const FINDINGS = ["passed", "flagged", "failed", "unavailable"] as const
export type FindingStatus = (typeof FINDINGS)[number]

export const Finding = Schema.Struct({
  check: Schema.Literals(CHECKS),
  status: Schema.Literals(FINDINGS),
  /** Why, one sentence each. */
  reasons: Schema.Array(Schema.String)
})
export type Finding = typeof Finding.Type

/** From the best to the worst. */
export const DECISIONS = ["approved", "review", "incomplete", "denied"] as const
export type Decision = (typeof DECISIONS)[number]

export interface Outcome {
  readonly decision: Decision
  /** From 0, no risk, to 100. */
  readonly riskScore: number
}

const WEIGHTS: Readonly<Record<Check, number>> = { licence: 35, sanctions: 35, education: 15, work_history: 15 }
const SHARES: Readonly<Record<FindingStatus, number>> = { passed: 0, flagged: 0.4, unavailable: 0.5, failed: 1 }

/**
 * Denied where a check failed; else incomplete where one has no answer; else for a person's review where one was flagged;
 * else approved. Of a check that was made more than once, the worst counts: none can outvote another.
 */
export const decide = (findings: ReadonlyArray<Finding>): Outcome => {
  const worst = new Map<Check, FindingStatus>(CHECKS.map((check) => [check, "unavailable"]))
  const made = new Set<Check>()
  for (const { check, status } of findings) {
    const before = made.has(check) ? worst.get(check) : undefined
    if (before === undefined || SHARES[status] > SHARES[before]) worst.set(check, status)
    made.add(check)
  }
  const statuses = new Set(worst.values())
  const decision: Decision = statuses.has("failed")
    ? "denied"
    : statuses.has("unavailable")
      ? "incomplete"
      : statuses.has("flagged")
        ? "review"
        : "approved"
  let risk = 0
  for (const [check, status] of worst) risk += WEIGHTS[check] * SHARES[status]
  return { decision, riskScore: Math.round(risk * 10) / 10 }
}
