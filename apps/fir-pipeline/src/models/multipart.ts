// A form with one file, as bytes whose length is known before they are sent.
import { randomUUID } from "node:crypto"
import { HttpBody } from "effect/http"
import type { Upload } from "../Uploads.ts"

const ENDING: Readonly<Record<Upload["type"], string>> = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "audio/wav": "wav",
  "audio/mpeg": "mp3"
}

export const multipart = (
  name: string,
  { bytes, kind, type }: Upload,
  fields: Readonly<Record<string, string>> = {}
): HttpBody.Uint8Array => {
  const boundary = `fir-${randomUUID()}`
  const before = Object.entries(fields).map(
    ([field, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${field}"\r\n\r\n${value}\r\n`
  )
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="${name}"; filename="${kind}.${ENDING[type]}"\r\ncontent-type: ${type}\r\n\r\n`
  const body = Buffer.concat([Buffer.from(before.join("") + head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)])
  return HttpBody.uint8Array(body, `multipart/form-data; boundary=${boundary}`)
}
