// Reads answers of HTTP/1.1 from whatever pieces the network hands over.
//
// Servers under load send nearly the same bytes again and again. So the head of
// the last answer is kept with what it said about the body, and a head that is
// byte for byte the same (one comparison of memory) is not read again. A head
// that differs is searched line by line for the three fields that decide where
// the answer ends.

const lengthOfLineEnd = 2
const headLimit = 64 * 1024

/** Where the parser stands within an answer. */
type State = "head" | "length" | "chunk-size" | "chunk" | "chunk-end" | "trailer" | "until-close"

/** What a head says of what comes after it. */
interface Framing {
  readonly status: number
  /** Bytes of the body; -1 where it comes in chunks, -2 where it ends with the connection. */
  readonly length: number
  readonly keepAlive: boolean
}

const inChunks = -1
const untilClose = -2

const blank = Buffer.from("\r\n\r\n", "latin1")

/** What the bytes so far came to. */
export type Progress = "more" | "complete" | "malformed"

const readHead = (head: string, isHead: boolean): Framing | undefined => {
  const match = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?\r\n/.exec(head)
  if (match === null) return undefined
  const status = Number(match[2])
  let keepAlive = match[1] === "1"
  let length = untilClose
  for (const line of head.slice(match[0].length).split("\r\n")) {
    const colon = line.indexOf(":")
    if (colon < 0) continue
    // Three names matter, and their lengths tell most others apart from them.
    if (colon !== 14 && colon !== 17 && colon !== 10) continue
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (name === "content-length") {
      if (!/^\d{1,15}$/.test(value)) return undefined
      if (length !== inChunks) length = Number(value)
    } else if (name === "transfer-encoding") {
      if (/(^|,)\s*chunked\s*$/i.test(value)) length = inChunks
    } else if (name === "connection") {
      if (/\bclose\b/i.test(value)) keepAlive = false
      else if (/\bkeep-alive\b/i.test(value)) keepAlive = true
    }
  }
  if (isHead || status === 204 || status === 304 || status < 200) length = 0
  return { status, length, keepAlive: keepAlive && length !== untilClose }
}

export class ResponseParser {
  private state: State = "head"
  /** What is left of the body, or of the chunk. */
  private left = 0
  /** The beginning of a head, of a chunk's size or of a trailer that is not there in full. */
  private partial: Buffer | undefined
  private lastHead: Buffer | undefined
  private lastFraming: Framing = { status: 0, length: 0, keepAlive: true }
  private lastIsHead = false
  private kept: Array<Buffer> | undefined
  private headText = ""

  /** Of the answer that was read last. */
  status = 0
  keepAlive = true

  /** Prepares for the next answer. What is kept can be had with {@link takeHead} and {@link takeBody}. */
  begin(isHead: boolean, keep: boolean): void {
    this.state = "head"
    this.partial = undefined
    this.kept = keep ? [] : undefined
    if (isHead !== this.lastIsHead) {
      this.lastIsHead = isHead
      this.lastHead = undefined
    }
  }

  takeHead(): string {
    return this.headText
  }

  takeBody(): Buffer {
    const { kept = [] } = this
    this.kept = undefined
    return kept.length === 1 && kept[0] !== undefined ? kept[0] : Buffer.concat(kept)
  }

  /** Whether an answer that the end of the connection cuts short is complete by it. */
  get endsWithConnection(): boolean {
    return this.state === "until-close"
  }

  /** Reads `buffer` up to `end`. Bytes after an answer that is complete are malformed: nobody has asked for them. */
  read(buffer: Buffer, end: number): Progress {
    let source = buffer
    let at = 0
    let until = end
    if (this.partial !== undefined) {
      source = Buffer.concat([this.partial, buffer.subarray(0, end)])
      until = source.length
      this.partial = undefined
    }
    while (true) {
      switch (this.state) {
        case "head": {
          const next = this.readHead(source, at, until)
          if (next < 0) return "malformed"
          if (next === 0) return this.keepPartial(source, at, until)
          at = next
          if (this.status < 200) break
          const { length } = this.lastFraming
          if (length === inChunks) this.state = "chunk-size"
          else if (length === untilClose) this.state = "until-close"
          else {
            this.left = length
            this.state = "length"
          }
          break
        }
        case "length": {
          const taken = this.takeBytes(source, at, until)
          at += taken
          if (this.left > 0) return "more"
          return at === until ? "complete" : "malformed"
        }
        case "chunk-size": {
          const next = source.indexOf(10, at)
          if (next < 0 || next >= until) return this.keepPartial(source, at, until)
          const size = /^\s*([0-9a-f]{1,12})\s*(?:;.*)?\r?$/i.exec(source.toString("latin1", at, next))
          if (size === null) return "malformed"
          at = next + 1
          this.left = Number.parseInt(size[1] ?? "0", 16)
          this.state = this.left === 0 ? "trailer" : "chunk"
          break
        }
        case "chunk": {
          at += this.takeBytes(source, at, until)
          if (this.left > 0) return "more"
          this.left = lengthOfLineEnd
          this.state = "chunk-end"
          break
        }
        case "chunk-end": {
          const taken = Math.min(this.left, until - at)
          at += taken
          this.left -= taken
          if (this.left > 0) return "more"
          this.state = "chunk-size"
          break
        }
        case "trailer": {
          const next = source.indexOf(10, at)
          if (next < 0 || next >= until) return this.keepPartial(source, at, until)
          const isLast = next === at || (next === at + 1 && source[at] === 13)
          at = next + 1
          if (isLast) return at === until ? "complete" : "malformed"
          break
        }
        case "until-close":
          this.left = until - at
          this.takeBytes(source, at, until)
          return "more"
      }
    }
  }

  /** Reads the head at `at`: where it ends, 0 where it is not there in full, -1 where it is none. */
  private readHead(source: Buffer, at: number, until: number): number {
    const last = this.lastHead
    if (last !== undefined && until - at >= last.length && last.compare(source, at, at + last.length) === 0) {
      if (this.kept !== undefined) this.headText = last.toString("latin1")
      return at + last.length
    }
    const blankAt = source.indexOf(blank, at)
    if (blankAt < 0 || blankAt + blank.length > until) return 0
    const end = blankAt + blank.length
    const text = source.toString("latin1", at, end)
    const framing = readHead(text, this.lastIsHead)
    if (framing === undefined) return -1
    this.status = framing.status
    this.keepAlive = framing.keepAlive
    if (framing.status < 200) {
      this.lastHead = undefined
    } else {
      this.lastHead = Buffer.from(source.subarray(at, end))
      this.lastFraming = framing
    }
    if (this.kept !== undefined) this.headText = text
    return end
  }

  private takeBytes(source: Buffer, at: number, until: number): number {
    const taken = Math.min(this.left, until - at)
    this.left -= taken
    // The source is written over by what the network brings next.
    if (this.kept !== undefined && taken > 0) this.kept.push(Buffer.from(source.subarray(at, at + taken)))
    return taken
  }

  private keepPartial(source: Buffer, at: number, until: number): Progress {
    if (until - at > headLimit) return "malformed"
    if (until > at) this.partial = Buffer.from(source.subarray(at, until))
    return "more"
  }
}
