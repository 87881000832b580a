// As much of protobuf's wire format as Prometheus's messages need.

export class Message {
  private readonly bytes: Array<number> = []

  string(field: number, value: string): this {
    return this.raw(field, new TextEncoder().encode(value))
  }

  /** An unsigned integer up to 2^53. */
  uint(field: number, value: number): this {
    this.varint(field * 8)
    this.varint(value)
    return this
  }

  /** A signed integer, zigzag. */
  sint(field: number, value: number): this {
    return this.uint(field, value >= 0 ? value * 2 : -value * 2 - 1)
  }

  double(field: number, value: number): this {
    this.varint(field * 8 + 1)
    const view = new DataView(new ArrayBuffer(8))
    view.setFloat64(0, value, true)
    for (let at = 0; at < 8; at++) this.bytes.push(view.getUint8(at))
    return this
  }

  message(field: number, value: Message): this {
    return this.raw(field, value.bytes)
  }

  /** Appends a message with its length before it. */
  delimited(value: Message): this {
    this.varint(value.bytes.length)
    this.append(value.bytes)
    return this
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.bytes)
  }

  private raw(field: number, value: ArrayLike<number>): this {
    this.varint(field * 8 + 2)
    this.varint(value.length)
    this.append(value)
    return this
  }

  private append(value: ArrayLike<number>): void {
    for (let at = 0; at < value.length; at++) this.bytes.push(value[at] ?? 0)
  }

  private varint(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.bytes.push((rest % 128) + 128)
      rest = Math.floor(rest / 128)
    }
    this.bytes.push(rest)
  }
}
