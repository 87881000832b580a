/**
 * Files that come in as complaints. What a file is, its first bytes say, and not
 * its name or what the sender calls it.
 *
 * @module
 */
import { createHash } from "node:crypto"

export type MediaType = "image/png" | "image/jpeg" | "audio/wav" | "audio/mpeg"

export interface Upload {
  readonly kind: "image" | "audio"
  readonly type: MediaType
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** An image of more pixels takes more memory to read than a letter is worth. */
export const PIXELS_MOST = 50_000_000

const begins = (bytes: Uint8Array, signs: ReadonlyArray<number>, at = 0): boolean =>
  signs.every((sign, index) => bytes[at + index] === sign)

const ascii = (text: string): ReadonlyArray<number> => [...text].map((sign) => sign.charCodeAt(0))

const PNG = [0x89, ...ascii("PNG"), 0x0d, 0x0a, 0x1a, 0x0a]
const JPEG = [0xff, 0xd8, 0xff]

/** An MPEG frame begins with eleven set bits, and has a version, a layer, a bit rate and a sampling rate that there are. */
const isMpegFrame = (bytes: Uint8Array): boolean => {
  const [first = 0, second = 0, third = 0] = bytes
  const layer = (second >> 1) & 3
  const version = (second >> 3) & 3
  const sampling = (third >> 2) & 3
  return (
    first === 0xff &&
    second >= 0xe0 &&
    layer !== 0 &&
    version !== 1 &&
    third >> 4 !== 15 &&
    third >> 4 !== 0 &&
    sampling !== 3
  )
}

/** What the file is, or `undefined` if it is none of those that are taken. */
export const sniff = (bytes: Uint8Array<ArrayBuffer>): Upload | undefined => {
  if (begins(bytes, PNG)) return { kind: "image", type: "image/png", bytes }
  if (begins(bytes, JPEG)) return { kind: "image", type: "image/jpeg", bytes }
  if (begins(bytes, ascii("RIFF")) && begins(bytes, ascii("WAVE"), 8))
    return { kind: "audio", type: "audio/wav", bytes }
  if (begins(bytes, ascii("ID3")) || isMpegFrame(bytes)) return { kind: "audio", type: "audio/mpeg", bytes }
  return undefined
}

const big16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
const big32 = (bytes: Uint8Array, at: number): number => big16(bytes, at) * 65_536 + big16(bytes, at + 2)

/** Segments of a JPEG that hold its size: those of a frame, whatever its coding. */
const isFrame = (marker: number): boolean => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)

/** How many pixels an image says that it has; 0 when it does not say. */
export const pixels = ({ bytes, type }: Upload): number => {
  if (type === "image/png") return big32(bytes, 16) * big32(bytes, 20)
  let at = 2
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] ?? 0
    if (isFrame(marker)) return big16(bytes, at + 5) * big16(bytes, at + 7)
    at += 2 + big16(bytes, at + 2)
  }
  return 0
}

/** Names a file so that it can be proved later which one it was. */
export const describe = ({ bytes, type }: Upload): string =>
  `${type}, ${bytes.length} bytes, SHA-256 ${createHash("sha256").update(bytes).digest("hex")}`
