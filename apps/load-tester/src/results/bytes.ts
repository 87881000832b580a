// Numbers and text as bytes: varints, as protobuf has them, up to 2^53.

export class Writer {
  private buffer: Uint8Array<ArrayBuffer> = new Uint8Array(4096)
  private length = 0

  byte(value: number): void {
    this.room(1)
    this.buffer[this.length++] = value
  }

  uint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`Cannot write ${value}: a whole number from 0 up is needed`)
    }
    this.room(8)
    let rest = value
    while (rest >= 128) {
      this.buffer[this.length++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.buffer[this.length++] = rest
  }

  /** Zigzag, so that small negative numbers are short. */
  int(value: number): void {
    this.uint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  uint32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.byte((value >>> shift) & 0xff)
  }

  double(value: number): void {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setFloat64(0, value, true)
    this.raw(bytes)
  }

  string(value: string): void {
    this.delimited(new TextEncoder().encode(value))
  }

  /** Bytes with their length before them. */
  delimited(bytes: Uint8Array): void {
    this.uint(bytes.length)
    this.raw(bytes)
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length)
    this.buffer.set(bytes, this.length)
    this.length += bytes.length
  }

  /** What was written; a view that further writing may change. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.buffer.subarray(0, this.length)
  }

  private room(needed: number): void {
    if (this.length + needed <= this.buffer.length) return
    const wider = new Uint8Array(Math.max(this.length + needed, this.buffer.length * 2))
    wider.set(this.buffer)
    this.buffer = wider
  }
}

export class Reader {
  private readonly from: Uint8Array
  private at = 0

  constructor(bytes: Uint8Array) {
    this.from = bytes
  }

  byte(): number {
    const value = this.from[this.at++]
    if (value === undefined) throw new RangeError("it ends too early")
    return value
  }

  uint(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = this.byte()
      value += (byte % 128) * factor
      if (byte < 128) return value
      factor *= 128
    }
  }

  int(): number {
    const value = this.uint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  uint32(): number {
    let value = 0
    for (let shift = 0; shift < 32; shift += 8) value |= this.byte() << shift
    return value >>> 0
  }

  string(): string {
    const length = this.uint()
    const end = this.at + length
    if (end > this.from.length) throw new RangeError("it ends too early")
    const text = new TextDecoder().decode(this.from.subarray(this.at, end))
    this.at = end
    return text
  }
}

const table: Uint32Array = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

/** The CRC-32 of zlib and of PNG. */
export const crc32 = (bytes: Uint8Array): number => {
  let value = 0xffffffff
  for (const byte of bytes) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0)
  return (value ^ 0xffffffff) >>> 0
}
