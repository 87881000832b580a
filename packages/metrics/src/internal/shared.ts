// Cells of 64 bits in shared memory, all of whose updates are atomic.
//
// Counts are integers. Numbers that are compared or set are kept by the bits of
// their double: for numbers from 0 up, the order of the bits as an integer is the
// order of the numbers. A histogram's sum is a double too, added by compare and
// exchange: another thread's addition in between makes it try again.

import type { HistogramSnapshot } from "../Instruments.ts"
import type { HistogramSpec, SharedHistogram } from "../SharedRegistry.ts"
import type { Buckets } from "./exponential.ts"
import { Snapshot } from "./series.ts"

const scratch = new BigInt64Array(1)
const scratchNumber = new Float64Array(scratch.buffer)

const bitsOf = (value: number): bigint => {
  scratchNumber[0] = value
  return scratch[0] ?? 0n
}

const numberOf = (bits: bigint): number => {
  scratch[0] = bits
  return scratchNumber[0] ?? 0
}

export class Cells {
  private readonly cells: BigInt64Array<SharedArrayBuffer>

  constructor(buffer: SharedArrayBuffer) {
    this.cells = new BigInt64Array(buffer)
  }

  increment(at: number): void {
    Atomics.add(this.cells, at, 1n)
  }

  add(at: number, amount: number): void {
    Atomics.add(this.cells, at, BigInt(amount))
  }

  count(at: number): number {
    return Number(Atomics.load(this.cells, at))
  }

  number(at: number): number {
    return numberOf(Atomics.load(this.cells, at))
  }

  setNumber(at: number, value: number): void {
    Atomics.store(this.cells, at, bitsOf(value))
  }

  addNumber(at: number, amount: number): void {
    this.exchange(at, (value) => value + amount)
  }

  /** Lowers a number to another that is less. */
  lower(at: number, value: number): void {
    if (value < this.number(at)) this.exchange(at, (known) => Math.min(known, value))
  }

  raise(at: number, value: number): void {
    if (value > this.number(at)) this.exchange(at, (known) => Math.max(known, value))
  }

  private exchange(at: number, next: (value: number) => number): void {
    let bits = Atomics.load(this.cells, at)
    while (true) {
      const found = Atomics.compareExchange(this.cells, at, bits, bitsOf(next(numberOf(bits))))
      if (found === bits) return
      bits = found
    }
  }
}

interface Layout {
  readonly scale: number
  readonly first: number
  readonly buckets: number
  /** Cells in all: sum, least, largest, zero, and one a bucket. */
  readonly size: number
}

const overhead = 4

export const sharedBuckets = ({ least = 1e-6, most = 4096, name, scale = 5 }: HistogramSpec): Layout => {
  if (!Number.isInteger(scale) || scale < 0 || scale > 8) {
    throw new RangeError(`Cannot define ${name} with scale ${scale}: a whole number from 0 to 8 is needed`)
  }
  if (!(least > 0) || !(most > least) || most === Number.POSITIVE_INFINITY) {
    throw new RangeError(
      `Cannot define ${name} from ${least} to ${most}: finite numbers, ascending, above 0 are needed`
    )
  }
  const first = indexOf(least, scale)
  const buckets = indexOf(most, scale) - first + 1
  return { scale, first, buckets, size: overhead + buckets }
}

const indexOf = (value: number, scale: number): number => Math.ceil(Math.log2(value) * 2 ** scale) - 1

export class SharedHistogramSeries implements SharedHistogram {
  private readonly cells: Cells
  private readonly layout: Layout
  private readonly at: number

  constructor(cells: Cells, at: number, spec: HistogramSpec) {
    this.cells = cells
    this.at = at
    this.layout = sharedBuckets(spec)
  }

  /** Before anything is recorded. */
  clear(): void {
    this.cells.setNumber(this.at + 1, Number.POSITIVE_INFINITY)
    this.cells.setNumber(this.at + 2, 0)
  }

  observeUnsafe(value: number): void {
    // Infinity minus itself is NaN: one subtraction tells what is not finite.
    if (value - value !== 0) return
    const { at, cells } = this
    const { buckets, first, scale } = this.layout
    const counted = Math.max(0, value)
    cells.addNumber(at, counted)
    cells.lower(at + 1, counted)
    cells.raise(at + 2, counted)
    const place = counted === 0 ? -1 : Math.max(0, Math.min(buckets - 1, indexOf(counted, scale) - first))
    cells.increment(at + overhead + place)
  }

  snapshot(): HistogramSnapshot {
    const { at, cells } = this
    const { buckets: length, first, scale } = this.layout
    const zero = cells.count(at + overhead - 1)
    const counts = new Float64Array(length)
    let count = zero
    for (let place = 0; place < length; place++) {
      counts[place] = cells.count(at + overhead + place)
      count += counts[place] ?? 0
    }
    const buckets: Buckets = {
      scale,
      perOctave: 2 ** scale,
      offset: first,
      counts,
      used: length,
      zero,
      count,
      sum: cells.number(at),
      min: cells.number(at + 1),
      max: cells.number(at + 2)
    }
    return new Snapshot(buckets)
  }
}
