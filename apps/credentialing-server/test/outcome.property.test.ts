import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { CHECKS, DECISIONS, decide, FINDINGS, type Finding, type FindingStatus } from "../src/Outcome.ts"

const status = fc.constantFrom(...FINDINGS)
/** One finding of each check. */
const complete: fc.Arbitrary<ReadonlyArray<Finding>> = fc
  .tuple(...CHECKS.map((check) => status.map((value): Finding => ({ check, status: value, reasons: [] }))))
  .map((findings) => findings)
const any: fc.Arbitrary<ReadonlyArray<Finding>> = fc.array(
  fc.record({ check: fc.constantFrom(...CHECKS), status, reasons: fc.constant([]) }),
  { maxLength: 8 }
)
const WORSE: Readonly<Record<FindingStatus, number>> = { passed: 0, flagged: 1, unavailable: 2, failed: 3 }
const rank = (findings: ReadonlyArray<Finding>): number => DECISIONS.indexOf(decide(findings).decision)

describe("decide", () => {
  it("approves where every check passed, and nowhere else", () => {
    fc.assert(
      fc.property(any, (findings) => {
        const isClean =
          CHECKS.every((check) => findings.some((finding) => finding.check === check)) &&
          findings.every((finding) => finding.status === "passed")
        expect(decide(findings).decision === "approved").toBe(isClean)
      })
    )
  })

  it("denies where a check failed, and nowhere else", () => {
    fc.assert(
      fc.property(any, (findings) => {
        expect(decide(findings).decision === "denied").toBe(findings.some((finding) => finding.status === "failed"))
      })
    )
  })

  it("decides the same in whatever order the findings came", () => {
    const shuffled = any.chain((findings) =>
      fc.tuple(
        fc.constant(findings),
        fc.shuffledSubarray([...findings], { minLength: findings.length, maxLength: findings.length })
      )
    )
    fc.assert(
      fc.property(shuffled, ([findings, other]) => {
        expect(decide(other)).toEqual(decide(findings))
      })
    )
  })

  it("decides no better and finds no less risk when one finding is worse", () => {
    fc.assert(
      fc.property(complete, fc.nat(CHECKS.length - 1), status, (findings, at, other) => {
        const worse = findings.map((finding, index) =>
          index === at && WORSE[other] > WORSE[finding.status] ? { ...finding, status: other } : finding
        )
        expect(rank(worse)).toBeGreaterThanOrEqual(rank(findings))
        expect(decide(worse).riskScore).toBeGreaterThanOrEqual(decide(findings).riskScore)
      })
    )
  })

  it("finds a risk from 0 to 100, 0 exactly where it approves", () => {
    fc.assert(
      fc.property(any, (findings) => {
        const { decision, riskScore } = decide(findings)
        expect(riskScore).toBeGreaterThanOrEqual(0)
        expect(riskScore).toBeLessThanOrEqual(100)
        expect(riskScore === 0).toBe(decision === "approved")
      })
    )
  })
})
