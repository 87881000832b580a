import { describe, expect, it } from "vitest"
import { type Check, decide } from "../src/Outcome.ts"
import { generate, idOf, numberOf, type Provider } from "../src/Provider.ts"
import { truthOf } from "../src/registry-server/truth.ts"
import { assess } from "../src/workflow/assess.ts"
import type { Records } from "../src/workflow/records.ts"

const NOW = Date.parse("2026-06-15T12:00:00Z")
const numbers = Array.from({ length: 2000 }, (_, index) => index + 1)
const providers = numbers.map((number) => generate(number, 1))

const isLuhn = (text: string): boolean => {
  const sum = [...text].reverse().reduce((total, digit, index) => {
    const value = index % 2 === 1 ? Number(digit) * 2 : Number(digit)
    return total + (value > 9 ? value - 9 : value)
  }, 0)
  return sum % 10 === 0
}

const decisionOf = (provider: Provider, number: number) => {
  const truth = truthOf(provider, number, 1, NOW)
  return decide([
    assess("licence", provider, truth.licence, NOW),
    assess("sanctions", provider, truth.sanctions, NOW),
    assess("education", provider, truth.education, NOW),
    assess("work_history", provider, truth.work_history, NOW)
  ]).decision
}

describe("the generated providers", () => {
  it("are the same for the same seed and others for another", () => {
    expect(generate(7, 1)).toEqual(providers[6])
    expect(generate(7, 2)).not.toEqual(providers[6])
  })

  it("have identifiers of their own, which pass the check of the registry of identifiers", () => {
    expect(new Set(providers.map(({ npi }) => npi)).size).toBe(providers.length)
    expect(new Set(providers.map(({ licence_number }) => licence_number)).size).toBe(providers.length)
    expect(providers.every(({ npi }) => npi.length === 10 && isLuhn(`80840${npi}`))).toBe(true)
  })

  it("work from their graduation to this day, without overlaps", () => {
    for (const { education, work_history } of providers) {
      expect(work_history.length).toBeGreaterThan(0)
      expect(work_history[0]?.from).toBe(`${education.graduated}-07`)
      for (const [index, { from, to }] of work_history.entries()) {
        if (to === null) expect(index).toBe(work_history.length - 1)
        else expect(to > from).toBe(true)
        const next = work_history[index + 1]
        if (next !== undefined && to !== null) expect(next.from >= to).toBe(true)
      }
    }
  })

  it("come out as in life: most are approved, some are for review, a few denied", () => {
    const counts = { approved: 0, review: 0, incomplete: 0, denied: 0 }
    for (const [index, provider] of providers.entries()) counts[decisionOf(provider, index + 1)]++
    expect(counts.approved / providers.length).toBeGreaterThan(0.68)
    expect(counts.review / providers.length).toBeGreaterThan(0.1)
    expect(counts.denied / providers.length).toBeGreaterThan(0.04)
    expect(counts.incomplete).toBe(0)
  })

  it("have ids that lead back to their numbers, and no other text does", () => {
    expect(numbers.every((number) => numberOf(idOf(number)) === number)).toBe(true)
    for (const text of ["provider_1", "provider_0001", "provider_", "PROVIDER_001", "provider_001 "]) {
      expect(numberOf(text)).toBeUndefined()
    }
  })
})

const provider = generate(1, 1)
const licence = {
  number: provider.licence_number,
  holder: provider.name,
  state: provider.state,
  status: "active",
  expires: "2027-06-15",
  actions: []
} as const
const award = {
  school: provider.education.school,
  degree: provider.education.degree,
  year: provider.education.graduated
}

const found = <C extends Check>(check: C, record: Records[C]): string => {
  const { reasons, status } = assess(check, provider, record, NOW)
  return [status, ...reasons].join(": ")
}

describe("a check", () => {
  it.each([
    [licence, "passed"],
    [null, `failed: There is no licence ${provider.licence_number}`],
    [{ ...licence, status: "revoked" }, "failed: The licence is revoked"],
    [{ ...licence, status: "expired", expires: "2026-01-01" }, "failed: The licence expired on 2026-01-01"],
    [{ ...licence, expires: "2026-06-14" }, "failed: The licence expired on 2026-06-14"],
    [{ ...licence, expires: "2026-07-01" }, "flagged: The licence expires on 2026-07-01"],
    [{ ...licence, holder: "Somebody Else" }, "flagged: The licence is held in the name of Somebody Else"],
    [{ ...licence, holder: provider.name.toUpperCase() }, "passed"],
    [{ ...licence, actions: ["reprimand"] }, "flagged: Disciplinary action: reprimand"]
  ] as const)("of the licence %j finds %s", (record, expected) => {
    expect(found("licence", record)).toBe(expected)
  })

  it.each([
    [[], "passed"],
    [[{ list: "OIG LEIE", since: "2020-01-01", lifted: null }], "failed: Excluded by OIG LEIE since 2020-01-01"],
    [
      [{ list: "SAM.gov", since: "2010-01-01", lifted: "2012-01-01" }],
      "flagged: An exclusion by SAM.gov was lifted on 2012-01-01"
    ]
  ] as const)("of the exclusions %j finds %s", (matches, expected) => {
    expect(found("sanctions", { npi: provider.npi, matches })).toBe(expected)
  })

  it.each([
    [[award], "passed"],
    [[], `failed: ${award.school} has no record of a ${award.degree}`],
    [[{ ...award, year: award.year - 1 }], "passed"],
    [[{ ...award, year: award.year - 2 }], `flagged: Graduated in ${award.year - 2}, not in ${award.year}`]
  ])("of the degrees %j finds %s", (awards, expected) => {
    expect(found("education", { npi: provider.npi, awards })).toBe(expected)
  })

  it("of the work history finds positions that nobody confirms, and gaps", () => {
    const positions = provider.work_history.map(({ employer, from, to }) => ({ employer, from, to }))
    expect(found("work_history", { npi: provider.npi, positions })).toBe("passed")
    expect(found("work_history", { npi: provider.npi, positions: positions.slice(1) })).toMatch(
      /^flagged: .* does not confirm/
    )
    expect(found("work_history", null)).toMatch(/^failed: No stated position is confirmed/)
    const gap: Provider = {
      ...provider,
      work_history: [
        { employer: "A", role: "Resident", from: "2010-07", to: "2012-01" },
        { employer: "B", role: "Attending", from: "2013-01", to: null }
      ]
    }
    const record = {
      npi: gap.npi,
      positions: gap.work_history.map(({ employer, from, to }) => ({ employer, from, to }))
    }
    expect(assess("work_history", gap, record, NOW)).toMatchObject({
      status: "flagged",
      reasons: ["Nothing is stated from 2012-01 to 2013-01"]
    })
  })
})
