// Files as an officer might upload them.
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

/** A letter, typed and scanned. */
export const letter: Uint8Array<ArrayBuffer> = new Uint8Array(
  readFileSync(new URL("../fixtures/letter.png", import.meta.url))
)

export const hasTesseract = spawnSync("tesseract", ["--version"]).status === 0

const chunk = (name: string, content: Buffer): Buffer => {
  const head = Buffer.alloc(8)
  head.write(name, "latin1")
  head.writeUInt32LE(content.length, 4)
  return Buffer.concat([head, content, Buffer.alloc(content.length % 2)])
}

/** A recording of a moment of silence; a recorder may have put its transcript into it. */
export const recording = (transcript?: string): Uint8Array<ArrayBuffer> => {
  const format = Buffer.alloc(16)
  format.writeUInt16LE(1, 0)
  format.writeUInt16LE(1, 2)
  format.writeUInt32LE(8000, 4)
  format.writeUInt32LE(8000, 8)
  format.writeUInt16LE(1, 12)
  format.writeUInt16LE(8, 14)
  const info =
    transcript === undefined
      ? []
      : [chunk("LIST", Buffer.concat([Buffer.from("INFO"), chunk("ICMT", Buffer.from(`${transcript}\0`))]))]
  const body = Buffer.concat([
    Buffer.from("WAVE"),
    chunk("fmt ", format),
    ...info,
    chunk("data", Buffer.alloc(800, 128))
  ])
  return new Uint8Array(chunk("RIFF", body))
}

/** The same as an MP3 file whose tag holds it, in the encoding that most editors write. */
export const taggedRecording = (transcript: string): Uint8Array<ArrayBuffer> => {
  const text = Buffer.concat([
    Buffer.from([1]),
    Buffer.from("hin"),
    Buffer.from([0xff, 0xfe, 0, 0]),
    Buffer.from([0xff, 0xfe]),
    Buffer.from(transcript, "utf16le")
  ])
  const frame = Buffer.concat([Buffer.from("USLT"), Buffer.alloc(6), text])
  frame.writeUInt32BE(text.length, 4)
  const size = frame.length
  const head = Buffer.from([0x49, 0x44, 0x33, 3, 0, 0, size >> 21, (size >> 14) & 127, (size >> 7) & 127, size & 127])
  return new Uint8Array(Buffer.concat([head, frame, Buffer.from([0xff, 0xfb, 0x90, 0x00])]))
}
