// Splits a text into sentences, English and Indian. A full stop ends one only
// before white space and a capital or the end, and not after the abbreviations
// that complaints are full of.

const ABBREVIATED =
  /(?:^|[\s(.])(?:Mr|Mrs|Ms|Dr|Shri|Smt|St|No|Rs|Sr|Jr|Adv|Ltd|Co|Rd|Nos|S\/o|D\/o|W\/o|R\/o|[A-Z])\.$/u

export const sentences = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let start = 0
  const end = (at: number): void => {
    const sentence = text.slice(start, at).replace(/\s+/g, " ").trim()
    if (sentence !== "") found.push(sentence)
    start = at
  }
  for (const match of text.matchAll(/[।॥]|[.!?](?=\s+["'“(]?[\p{Lu}\p{Lo}]|\s*$)|\n+/gu)) {
    const at = match.index + match[0].length
    if (match[0] === "." && ABBREVIATED.test(text.slice(start, at))) continue
    end(at)
  }
  end(text.length)
  return found
}
