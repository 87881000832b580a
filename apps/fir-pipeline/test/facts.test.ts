import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import { extract, FIELDS } from "../src/Facts.ts"
import { missing } from "../src/Report.ts"

describe("the facts of a complaint", () => {
  it.each(Complaints.load().map((complaint) => [complaint.id, complaint] as const))(
    "name the complainant and the place of %s",
    (_, { expect: { complainant, place }, text }) => {
      const facts = extract(text)
      expect(facts.complainantName).toBe(complainant)
      expect(facts.place).toContain(place)
      expect(missing(facts)).toEqual([])
    }
  )

  it("are every one the complaint's own words", () => {
    for (const { text } of Complaints.load()) {
      const plain = text.replace(/\s+/g, " ")
      for (const value of Object.values(extract(text))) {
        for (const part of value.split(/; |, (?=daughter|son|wife)/)) expect(plain).toContain(part)
      }
    }
  })

  it("are read from the labelled lines that people write", () => {
    expect(
      extract(
        "Name: Asha Devi\nFather's name: Mohan Lal\nAddress: 12, Station Road, Gaya\nMobile: 9000000001\nPlace: Gaya Junction"
      )
    ).toEqual({
      complainantName: "Asha Devi",
      fatherOrHusband: "Mohan Lal",
      address: "12, Station Road, Gaya",
      contact: "9000000001",
      place: "Gaya Junction"
    })
  })

  it("are corrected by the officer, whose last word counts", () => {
    const complaint = "I, Asha Devi, daughter of Mohan Lal, was robbed near Gaya Junction."
    expect(extract(complaint, "Name: Usha Devi\nPlace: Dobhi").complainantName).toBe("Usha Devi")
    expect(extract(complaint, "Place: Dobhi\nPlace: Bodh Gaya").place).toBe("Bodh Gaya")
  })

  it("take the date of the incident and not that of a wedding or a birth", () => {
    const { incidentDate } = extract("I was married on 5 December 2022. On 18 May 2025 at 10 PM he beat me.")
    expect(incidentDate).toBe("18 May 2025")
  })

  it("are not invented where nothing is said", () => {
    expect(extract("Something terrible happened and I am afraid to say more.")).toEqual({})
  })

  it("are found in no text at all without a failure", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 2000 }), (text) => {
        for (const field of Object.keys(extract(text))) expect(FIELDS).toContain(field)
      })
    )
  })

  it("take a time that does not explode with the length of the text", () => {
    // Each of these made a careless pattern of this kind run for minutes.
    for (const text of ["near A".repeat(8000), "मैं क ".repeat(8000), "I, A ".repeat(10_000), "a:".repeat(25_000)]) {
      expect(() => extract(text.slice(0, 50_000))).not.toThrow()
    }
  })
})
