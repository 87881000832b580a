// IP addresses as numbers: the textual forms of RFC 4291 and RFC 5952.

/** Four bytes, or eight groups of 16 bits; or what is wrong with the text. */
export type Parsed = { readonly v4: ReadonlyArray<number> } | { readonly v6: ReadonlyArray<number> } | string

const parseV4 = (text: string): ReadonlyArray<number> | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4) return undefined
  const bytes = parts.map((part) => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256))
  return bytes.every((byte) => byte <= 255) ? bytes : undefined
}

const groupsOf = (text: string): ReadonlyArray<number> | undefined => {
  if (text === "") return []
  const groups: Array<number> = []
  const parts = text.split(":")
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const bytes = index === parts.length - 1 ? parseV4(part) : undefined
      if (bytes === undefined) return undefined
      const [a = 0, b = 0, c = 0, d = 0] = bytes
      groups.push(a * 256 + b, c * 256 + d)
    } else {
      if (!/^[\da-f]{1,4}$/i.test(part)) return undefined
      groups.push(Number.parseInt(part, 16))
    }
  }
  return groups
}

const parseV6 = (text: string): ReadonlyArray<number> | undefined => {
  const [front = "", back, ...more] = text.split("::")
  if (more.length > 0) return undefined
  // An IPv4 address may only end one.
  const before = back !== undefined && front.includes(".") ? undefined : groupsOf(front)
  if (before === undefined) return undefined
  if (back === undefined) return before.length === 8 ? before : undefined
  const after = groupsOf(back)
  if (after === undefined || before.length + after.length > 7) return undefined
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
}

export const parse = (text: string): Parsed => {
  if (text.length > 64) return "it is longer than an address can be"
  const bare = (text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text).replace(/%[^\s%]+$/, "")
  if (!bare.includes(":")) {
    const v4 = parseV4(bare)
    return v4 === undefined ? "it is neither four numbers up to 255 with dots nor groups with colons" : { v4 }
  }
  const v6 = parseV6(bare)
  if (v6 === undefined) return "it is not eight groups of up to four hexadecimal digits, with at most one ::"
  // ::ffff:0:0/96, an IPv4 address on a socket that takes both.
  const isMapped = v6.slice(0, 5).every((group) => group === 0) && v6[5] === 0xffff
  if (!isMapped) return { v6 }
  const [high = 0, low = 0] = v6.slice(6)
  return { v4: [high >> 8, high & 255, low >> 8, low & 255] }
}

/** Keeps the first bits. */
export const mask = (parts: ReadonlyArray<number>, bitsOfPart: number, prefix: number): ReadonlyArray<number> =>
  parts.map((part, index) => {
    const kept = Math.min(bitsOfPart, Math.max(0, prefix - index * bitsOfPart))
    const rest = 2 ** (bitsOfPart - kept)
    return Math.floor(part / rest) * rest
  })

/** The canonical text of RFC 5952: lower case, no leading zeros, the longest run of zeros as `::`. */
export const formatV6 = (groups: ReadonlyArray<number>): string => {
  let start = -1
  let length = 1
  for (let from = 0; from < 8; from++) {
    let to = from
    while (to < 8 && groups[to] === 0) to++
    if (to - from > length) {
      start = from
      length = to - from
    }
  }
  const text = (list: ReadonlyArray<number>) => list.map((group) => group.toString(16)).join(":")
  return start === -1 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`
}
