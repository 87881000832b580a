// Finds the wordings of a clause in a complaint.
//
// A wording is a few words: `snatch*` matches a beginning, `...` up to four words
// in between. A complaint is read once into its words; each word knows where it
// stands, and the words stand sorted, so that a wording costs a binary search and
// not a scan of the text.

const WORD = /[\p{L}\p{M}\p{N}]+/gu
const NUKTA = /\u093c/g
const CHANDRABINDU = /\u0901/g
const GAP = 4

/** The words of a text in the form in which they are compared. Hindi is written with and without nukta; both are one. */
export const words = (text: string): ReadonlyArray<string> =>
  text.normalize("NFC").replace(NUKTA, "").replace(CHANDRABINDU, "\u0902").toLowerCase().match(WORD) ?? []

type Part = { readonly kind: "word" | "beginning"; readonly text: string } | { readonly kind: "gap" }

/** A wording made ready for comparison. */
export interface Wording {
  readonly source: string
  readonly parts: ReadonlyArray<Part>
}

export const wording = (source: string): Wording => ({
  source,
  parts: source.split(/\s+/).flatMap((token): ReadonlyArray<Part> => {
    if (token === "...") return [{ kind: "gap" }]
    const found = words(token)
    return found.map((text, index) => ({
      kind: token.endsWith("*") && index === found.length - 1 ? "beginning" : "word",
      text
    }))
  })
})

/** A text, ready to be asked for wordings. */
export interface Reading {
  readonly length: number
  /** How often the wording occurs, at most `limit` times. Costs O(log words) and the places where its first word stands. */
  count(wording: Wording, limit?: number): number
}

export const read = (text: string): Reading => {
  const sequence = words(text)
  const places = new Map<string, Array<number>>()
  for (const [index, word] of sequence.entries()) {
    const known = places.get(word)
    if (known === undefined) places.set(word, [index])
    else known.push(index)
  }
  const sorted = [...places.keys()].sort()

  const starts = (part: Part): ReadonlyArray<number> => {
    if (part.kind === "gap") return []
    if (part.kind === "word") return places.get(part.text) ?? []
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((sorted[middle] ?? "") < part.text) low = middle + 1
      else high = middle
    }
    const found: Array<number> = []
    for (let index = low; index < sorted.length; index++) {
      const word = sorted[index]
      if (word === undefined || !word.startsWith(part.text)) break
      found.push(...(places.get(word) ?? []))
    }
    return found
  }

  const fits = (part: Part, index: number): boolean => {
    const word = sequence[index]
    if (word === undefined || part.kind === "gap") return false
    return part.kind === "word" ? word === part.text : word.startsWith(part.text)
  }

  const follows = (parts: ReadonlyArray<Part>, at: number, index: number): boolean => {
    const part = parts[at]
    if (part === undefined) return true
    if (part.kind !== "gap") return fits(part, index) && follows(parts, at + 1, index + 1)
    for (let skipped = 0; skipped <= GAP; skipped++) if (follows(parts, at + 1, index + skipped)) return true
    return false
  }

  return {
    length: sequence.length,
    count: ({ parts }, limit = 3) => {
      const first = parts[0]
      if (first === undefined) return 0
      let found = 0
      for (const start of starts(first)) {
        if (follows(parts, 1, start + 1) && ++found === limit) break
      }
      return found
    }
  }
}
