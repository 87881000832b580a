// Models an answer by its parts: however the network cuts the bytes, the parser finds the same status, head and body.
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ResponseParser } from "../src/protocols/ResponseParser.ts"

interface Message {
  readonly bytes: Buffer
  readonly status: number
  readonly body: Buffer
  readonly keepAlive: boolean
}

const headers = fc
  .array(fc.tuple(fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,20}$/), fc.stringMatching(/^[ -~]{0,40}$/)), { maxLength: 6 })
  .map((all) =>
    all
      .filter(([name]) => !["content-length", "transfer-encoding", "connection"].includes(name.toLowerCase()))
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("")
  )
const body = fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes))
const status = fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304)

const chunked = (body: Buffer, sizes: ReadonlyArray<number>, trailer: string): Buffer => {
  const parts: Array<Buffer> = []
  let at = 0
  for (const size of sizes) {
    const chunk = body.subarray(at, at + size)
    if (chunk.length === 0) break
    parts.push(Buffer.from(`${chunk.length.toString(16)};note=1\r\n`), chunk, Buffer.from("\r\n"))
    at += chunk.length
  }
  const rest = body.subarray(at)
  if (rest.length > 0)
    parts.push(Buffer.from(`${rest.length.toString(16).toUpperCase()}\r\n`), rest, Buffer.from("\r\n"))
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailer}\r\n`)])
}

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ status, headers, body, close: fc.boolean() }).map(({ body, close, headers, status }) => ({
    status,
    body,
    keepAlive: !close,
    bytes: Buffer.concat([
      Buffer.from(
        `HTTP/1.1 ${status} Fine\r\n${headers}Content-Length: ${body.length}\r\n${close ? "connection: Close\r\n" : ""}\r\n`
      ),
      body
    ])
  })),
  fc
    .record({
      status,
      headers,
      body,
      sizes: fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 8 }),
      trailer: fc.constantFrom("", "X-Sum: 1\r\n")
    })
    .map(({ body, headers, sizes, status, trailer }) => ({
      status,
      body,
      keepAlive: true,
      bytes: Buffer.concat([
        Buffer.from(`HTTP/1.1 ${status}\r\nTRANSFER-ENCODING: gzip, chunked\r\n${headers}\r\n`),
        chunked(body, sizes, trailer)
      ])
    })),
  fc.constantFrom(204, 304).map((status) => ({
    status,
    body: Buffer.alloc(0),
    keepAlive: true,
    bytes: Buffer.from(`HTTP/1.1 ${status} Nothing\r\nContent-Length: 5\r\n\r\n`)
  })),
  fc.record({ body }).map(({ body }) => ({
    status: 200,
    body,
    keepAlive: true,
    bytes: Buffer.concat([
      Buffer.from(
        `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`
      ),
      body
    ])
  }))
)

const pieces = (bytes: Buffer, cuts: ReadonlyArray<number>): Array<Buffer> => {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...places]
    .map((from, index) => bytes.subarray(from, places[index] ?? bytes.length))
    .filter(({ length }) => length > 0)
}

const cuts = fc.array(fc.nat({ max: 4000 }), { maxLength: 12 })

/** Feeds the pieces from one place in memory, as sockets do. */
const readAll = (parser: ResponseParser, parts: ReadonlyArray<Buffer>): ReadonlyArray<string> => {
  const place = Buffer.alloc(8192)
  return parts.map((part) => {
    place.fill(0x78)
    part.copy(place)
    return parser.read(place, part.length)
  })
}

describe("the parser of answers", () => {
  it("finds the same in an answer, however it is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(message, cuts, fc.boolean()), { minLength: 1, maxLength: 5 }), (messages) => {
        const parser = new ResponseParser()
        for (const [{ body, bytes, keepAlive, status }, cuts, keep] of messages) {
          parser.begin(false, keep)
          const progress = readAll(parser, pieces(bytes, cuts))
          expect(progress.at(-1)).toBe("complete")
          expect(progress.slice(0, -1).every((one) => one === "more")).toBe(true)
          expect(parser.status).toBe(status)
          expect(parser.keepAlive).toBe(keepAlive)
          if (keep) expect(parser.takeBody().equals(body)).toBe(true)
        }
      })
    )
  })

  it("finds the same in an answer that repeats", () => {
    fc.assert(
      fc.property(message, cuts, (message, cuts) => {
        const parser = new ResponseParser()
        for (let turn = 0; turn < 3; turn++) {
          parser.begin(false, true)
          expect(readAll(parser, turn === 1 ? pieces(message.bytes, cuts) : [message.bytes]).at(-1)).toBe("complete")
          expect(parser.status).toBe(message.status)
          expect(parser.takeBody().equals(message.body)).toBe(true)
        }
      })
    )
  })

  it("never takes a beginning for the whole", () => {
    fc.assert(
      fc.property(message, fc.nat(), (message, at) => {
        const parser = new ResponseParser()
        parser.begin(false, false)
        const part = message.bytes.subarray(0, at % message.bytes.length)
        expect(parser.read(Buffer.from(part), part.length)).toBe("more")
      })
    )
  })

  it("survives any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 }), (parts) => {
        const parser = new ResponseParser()
        parser.begin(false, true)
        for (const part of parts) if (parser.read(Buffer.from(part), part.length) !== "more") break
      })
    )
  })
})

it("ends an answer without a length with its connection", () => {
  const parser = new ResponseParser()
  parser.begin(false, true)
  const bytes = Buffer.from("HTTP/1.0 200 OK\r\n\r\nall of it")
  expect(parser.read(bytes, bytes.length)).toBe("more")
  expect(parser.endsWithConnection).toBe(true)
  expect(parser.takeBody().toString()).toBe("all of it")
  expect(parser.keepAlive).toBe(false)
})

it("takes an answer to HEAD as over with its head", () => {
  const parser = new ResponseParser()
  const bytes = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
  parser.begin(true, false)
  expect(parser.read(bytes, bytes.length)).toBe("complete")
  // The same head after GET has a body.
  parser.begin(false, false)
  expect(parser.read(bytes, bytes.length)).toBe("more")
})

it.each([
  ["no HTTP at all", "SSH-2.0-OpenSSH\r\n\r\n"],
  ["a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"],
  ["more than was asked for", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc"],
  ["a chunk without a size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
  ["a head without end", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(70_000)}`]
])("refuses %s", (_, text) => {
  const parser = new ResponseParser()
  parser.begin(false, false)
  const bytes = Buffer.from(text)
  expect(parser.read(bytes, bytes.length)).toBe("malformed")
})
