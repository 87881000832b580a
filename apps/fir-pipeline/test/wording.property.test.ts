// Reading by index against the plain scan that it stands for.
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { read, wording, words } from "../src/law/wording.ts"

const word = fc.constantFrom("he", "her", "stole", "stolen", "my", "phone", "चोरी", "चोर", "रात", "2", "22")
const text = fc.array(word, { maxLength: 30 })
const pattern = fc
  .array(
    fc.oneof(
      word,
      word.map((token) => `${token}*`),
      fc.constant("...")
    ),
    { minLength: 1, maxLength: 4 }
  )
  .filter((tokens) => tokens[0] !== "...")

const scan = (sequence: ReadonlyArray<string>, tokens: ReadonlyArray<string>): number => {
  const from = (index: number, at: number): boolean => {
    const token = tokens[at]
    if (token === undefined) return true
    if (token === "...") return [0, 1, 2, 3, 4].some((skipped) => from(index + skipped, at + 1))
    const found = sequence[index]
    if (found === undefined) return false
    return (token.endsWith("*") ? found.startsWith(token.slice(0, -1)) : found === token) && from(index + 1, at + 1)
  }
  return sequence.filter((_, index) => from(index, 0)).length
}

describe("a reading", () => {
  it("finds a wording as often as a scan of the words does", () => {
    fc.assert(
      fc.property(text, pattern, (sequence, tokens) => {
        const found = read(sequence.join(" ")).count(wording(tokens.join(" ")), Number.POSITIVE_INFINITY)
        expect(found).toBe(scan(sequence, tokens))
      }),
      { numRuns: 500 }
    )
  })

  it("does not depend on case, marks of punctuation or the form of Unicode", () => {
    fc.assert(
      fc.property(text, fc.constantFrom(", ", " - ", "\n", "! "), (sequence, separator) => {
        const other = sequence.join(separator).toUpperCase().normalize("NFD")
        expect(words(other)).toEqual(words(sequence.join(" ")))
      })
    )
  })

  it("never counts more than it is asked to", () => {
    fc.assert(
      fc.property(text, pattern, fc.integer({ min: 1, max: 5 }), (sequence, tokens, limit) => {
        expect(read(sequence.join(" ")).count(wording(tokens.join(" ")), limit)).toBeLessThanOrEqual(limit)
      })
    )
  })
})
