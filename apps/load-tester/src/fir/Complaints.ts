/**
 * The complaints that are sent, and what a report of each must say.
 *
 * @module
 */
import { readFileSync } from "node:fs"
import { Data, Effect, Schema } from "effect"

/** A complaint, and what its report must say to be right. */
export const Complaint = Schema.Struct({
  id: Schema.NonEmptyString,
  language: Schema.String,
  text: Schema.NonEmptyString,
  expect: Schema.Struct({
    complainant: Schema.NonEmptyString,
    place: Schema.NonEmptyString,
    sections: Schema.Array(Schema.NonEmptyString)
  })
})
export type Complaint = typeof Complaint.Type

export class BadComplaints extends Data.TaggedError("@sluice/load-tester/BadComplaints")<{
  readonly path: string
  readonly problem: string
}> {
  override get message(): string {
    return `Cannot use ${this.path} as complaints: ${this.problem}`
  }
}

/** Reads a file of JSON lines, and names the first line that is not a complaint. */
export const load = (path: string): Effect.Effect<ReadonlyArray<Complaint>, BadComplaints> =>
  Effect.gen(function* () {
    const text = yield* Effect.try({
      try: () => readFileSync(path, "utf8"),
      catch: (cause) => new BadComplaints({ path, problem: cause instanceof Error ? cause.message : String(cause) })
    })
    const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Complaint))
    const complaints: Array<Complaint> = []
    for (const [index, line] of text.split("\n").entries()) {
      if (line.trim() === "") continue
      const complaint = decode(line)
      if (complaint._tag === "Failure") {
        return yield* new BadComplaints({ path, problem: `line ${index + 1}: ${complaint.failure.message}` })
      }
      complaints.push(complaint.success)
    }
    return complaints.length === 0 ? yield* new BadComplaints({ path, problem: "it holds none" }) : complaints
  })

interface Case {
  readonly id: string
  readonly complainant: string
  readonly place: string
  readonly sections: ReadonlyArray<string>
  readonly tell: (who: string, place: string) => string
}

const first: Case = {
  id: "motorcycle-theft",
  complainant: "Suresh Patil",
  place: "Shivaji Market, Pune",
  sections: ["303(2)"],
  tell: (who, place) =>
    `I, ${who}, son of Ganesh Patil, resident of 14 Tilak Road, Pune, phone 9822012345, state that on 3 June 2025 at about 6:30 PM I parked my motorcycle MH-12-AB-1234 at ${place}. When I came back after half an hour it had been stolen. I request that an FIR be registered.`
}

const cases: ReadonlyArray<Case> = [
  first,
  {
    id: "phone-snatching",
    complainant: "Meena Iyer",
    place: "Anna Nagar Bus Stop, Chennai",
    sections: ["304(2)"],
    tell: (who, place) =>
      `I, ${who}, daughter of Krishnan Iyer, resident of 7 Second Avenue, Chennai, phone 9840098400, state that on 21 May 2025 at about 8 PM at ${place} two men on a motorcycle snatched my mobile phone worth Rs 30,000 out of my hand and fled.`
  },
  {
    id: "online-cheating",
    complainant: "Arun Verma",
    place: "Hazratganj, Lucknow",
    sections: ["318(4)"],
    tell: (who, place) =>
      `I, ${who}, son of Mohan Verma, resident of ${place}, phone 9415012345, state that on 10 April 2025 a man phoned me, said that he was from my bank and cheated me: he dishonestly induced me to pay Rs 85,000 to an account, and the money was never returned.`
  },
  {
    id: "house-breaking",
    complainant: "Fatima Sheikh",
    place: "Banjara Hills, Hyderabad",
    sections: ["331(4)", "305"],
    tell: (who, place) =>
      `I, ${who}, daughter of Ibrahim Sheikh, resident of Road No. 3, ${place}, phone 9848012345, state that in the night of 12 March 2025 between 11 PM and 4 AM unknown persons broke open the lock of our house at ${place} and stole gold jewellery worth Rs 2,00,000 from the almirah.`
  }
]

/** As many different complaints as asked for, for a run without a file: the cases above, each told with another day. */
export const builtIn = (count: number): ReadonlyArray<Complaint> =>
  Array.from({ length: count }, (_, index) => {
    const { complainant, id, place, sections, tell } = cases[index % cases.length] ?? first
    const text = `${tell(complainant, place)} This is complaint number ${index + 1} of the day.`
    return { id: `${id}-${index + 1}`, language: "en", text, expect: { complainant, place, sections } }
  })
