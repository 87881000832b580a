// What a recording says in writing. Recorders and editors put a transcript into the
// file itself: into the comment of a WAV file, or into the field of an ID3 tag that
// is made for it. This reads it there. It does not hear.
import type { Upload } from "../Uploads.ts"

const text = (bytes: Uint8Array, encoding: string): string =>
  new TextDecoder(encoding).decode(bytes).replaceAll("\0", "").trim()

/** The `ICMT` of a `LIST` of kind `INFO`. */
const ofWav = (bytes: Uint8Array<ArrayBuffer>): string | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const name = (at: number): string => text(bytes.subarray(at, at + 4), "latin1")
  const chunk = (from: number, to: number, wanted: string): readonly [number, number] | undefined => {
    for (let at = from; at + 8 <= to; ) {
      const size = view.getUint32(at + 4, true)
      if (at + 8 + size > to) return undefined
      if (name(at) === wanted) return [at + 8, at + 8 + size]
      at += 8 + size + (size % 2)
    }
    return undefined
  }
  const list = chunk(12, bytes.length, "LIST")
  if (list === undefined || name(list[0]) !== "INFO") return undefined
  const comment = chunk(list[0] + 4, list[1], "ICMT")
  return comment === undefined ? undefined : text(bytes.subarray(...comment), "utf-8")
}

const ENCODINGS = ["latin1", "utf-16", "utf-16be", "utf-8"] as const

/** The `USLT` of an ID3 tag of version 2.3 or 2.4: encoding, language, a description that ends in zero, the text. */
const ofId3 = (bytes: Uint8Array<ArrayBuffer>): string | undefined => {
  const version = bytes[3] ?? 0
  const syncsafe = (at: number): number =>
    ((bytes[at] ?? 0) << 21) | ((bytes[at + 1] ?? 0) << 14) | ((bytes[at + 2] ?? 0) << 7) | (bytes[at + 3] ?? 0)
  const plain = (at: number): number => new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0)
  const end = Math.min(bytes.length, 10 + syncsafe(6))
  if (version < 3 || version > 4) return undefined
  for (let at = 10; at + 10 <= end; ) {
    const size = version === 4 ? syncsafe(at + 4) : plain(at + 4)
    const frame = bytes.subarray(at + 10, Math.min(end, at + 10 + size))
    if (text(bytes.subarray(at, at + 4), "latin1") === "USLT") {
      const encoding = frame[0] ?? 0
      const wide = encoding === 1 || encoding === 2
      let start = 4
      while (start < frame.length && (frame[start] !== 0 || (wide && frame[start + 1] !== 0))) start += wide ? 2 : 1
      return text(frame.subarray(start + (wide ? 2 : 1)), ENCODINGS[encoding] ?? "utf-8")
    }
    if (size === 0) return undefined
    at += 10 + size
  }
  return undefined
}

/** The transcript that the recording carries, if it carries one. */
export const transcriptIn = ({ bytes, type }: Upload): string | undefined => {
  const found = type === "audio/wav" ? ofWav(bytes) : type === "audio/mpeg" ? ofId3(bytes) : undefined
  return found === "" ? undefined : found
}
