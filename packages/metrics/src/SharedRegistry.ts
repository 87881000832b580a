/**
 * Metrics in memory that worker threads share: each records into the same place,
 * without a message, and any of them can read all while the others write.
 *
 * @module
 */
import type { HistogramSnapshot, Labels, MetricSnapshot } from "./Instruments.ts"
import { joinSeries } from "./internal/merging.ts"
import { checkLabelNames, checkMetricName } from "./internal/names.ts"
import { Cells, SharedHistogramSeries, sharedBuckets } from "./internal/shared.ts"

interface Described {
  readonly name: string
  readonly help: string
  /** The labels of this one series. */
  readonly labels?: Labels | undefined
}

/** Whole numbers that only grow. */
export interface CounterSpec extends Described {
  readonly kind: "counter"
}

/** Whole numbers that go up and down. */
export interface UpDownCounterSpec extends Described {
  readonly kind: "updown"
}

/** A number that is set; the last who sets it wins. */
export interface GaugeSpec extends Described {
  readonly kind: "gauge"
}

/** How values are spread, in exponential buckets of a scale that is chosen once, since all threads must agree on it. */
export interface HistogramSpec extends Described {
  readonly kind: "histogram"
  /** Buckets for each doubling: 2^scale. At 5, a quantile is off by at most 1.1 %. 0 to 8; default 5. */
  readonly scale?: number | undefined
  /** Least value that is told apart; what is below counts with it. Default 1e-6. */
  readonly least?: number | undefined
  /** Largest value that is told apart; what is above counts with it. Default 4096. */
  readonly most?: number | undefined
  /** Where the text formats count: powers of two, ascending. Default from 2^-14 to 2^10. */
  readonly bounds?: ReadonlyArray<number> | undefined
}

export type Spec = CounterSpec | UpDownCounterSpec | GaugeSpec | HistogramSpec

/** What is recorded, by the names under which the program knows it. The same in every thread. */
export type Definition = Readonly<Record<string, Spec>>

export interface SharedCounter {
  readonly value: number
  incrementUnsafe(): void
  /** Adds a whole number. Throws a `RangeError` for another, or for a negative one. */
  addUnsafe(amount: number): void
}

export interface SharedUpDownCounter {
  readonly value: number
  /** Adds a whole number. Throws a `RangeError` for another. */
  addUnsafe(amount: number): void
}

export interface SharedGauge {
  readonly value: number
  setUnsafe(value: number): void
}

export interface SharedHistogram {
  /** Records a value. What is not finite is left out; negative values count as zero. */
  observeUnsafe(value: number): void
  snapshot(): HistogramSnapshot
}

type InstrumentOf<S extends Spec> = S extends HistogramSpec
  ? SharedHistogram
  : S extends GaugeSpec
    ? SharedGauge
    : S extends CounterSpec
      ? SharedCounter
      : SharedUpDownCounter

/**
 * Metrics over a `SharedArrayBuffer`.
 *
 * **Details**
 *
 * Every update is an atomic operation: none is lost, however many threads record at once, and what a thread has recorded
 * remains when it ends. A counter costs one atomic addition of 64 bits; a histogram three, and a comparison for each of
 * least and largest value. Nothing is allocated for each series; memory is 8 bytes a cell.
 *
 * **Gotchas**
 *
 * A snapshot is made while others write: each figure is one that it had during the reading, but figures may differ by what
 * was recorded meanwhile. A histogram's `count` is that of its buckets, always.
 */
export interface SharedRegistry<D extends Definition> {
  /** What another thread needs to {@link attach}; post it with the message that starts the thread. */
  readonly buffer: SharedArrayBuffer
  readonly instruments: { readonly [K in keyof D]: InstrumentOf<D[K]> }
  /** For `Registry.include`, or to be merged. O(cells). */
  snapshotUnsafe(): ReadonlyArray<MetricSnapshot>
}

const checked = (key: string, spec: Spec): void => {
  checkMetricName(spec.name)
  checkLabelNames(spec.name, Object.keys(spec.labels ?? {}), ["le", "quantile"])
  if (spec.kind === "counter" && !spec.name.endsWith("_total")) {
    throw new RangeError(`Cannot define the counter ${key} as ${spec.name}: its name must end in _total`)
  }
}

// FNV-1a, so that a thread that was built with another definition notices.
const fingerprint = (definition: Definition): number => {
  let hash = 0x811c9dc5
  for (const character of JSON.stringify(definition)) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193)
  }
  return hash
}

const defaultBounds: ReadonlyArray<number> = Array.from({ length: 25 }, (_, index) => 2 ** (index - 14))

class Counter implements SharedCounter, SharedUpDownCounter {
  private readonly cells: Cells
  private readonly at: number
  private readonly isGrowing: boolean
  private readonly name: string

  constructor(cells: Cells, at: number, { kind, name }: Spec) {
    this.cells = cells
    this.at = at
    this.isGrowing = kind === "counter"
    this.name = name
  }

  get value(): number {
    return this.cells.count(this.at)
  }

  incrementUnsafe(): void {
    this.cells.increment(this.at)
  }

  addUnsafe(amount: number): void {
    if (!Number.isSafeInteger(amount) || (this.isGrowing && amount < 0)) {
      throw new RangeError(
        `Cannot add ${amount} to ${this.name}: a whole number${this.isGrowing ? ", 0 or more," : ""} is needed`
      )
    }
    this.cells.add(this.at, amount)
  }
}

class Gauge implements SharedGauge {
  private readonly cells: Cells
  private readonly at: number

  constructor(cells: Cells, at: number) {
    this.cells = cells
    this.at = at
  }

  get value(): number {
    return this.cells.number(this.at)
  }

  setUnsafe(value: number): void {
    this.cells.setNumber(this.at, value)
  }
}

const sizeOf = (spec: Spec): number => (spec.kind === "histogram" ? sharedBuckets(spec).size : 1)

const open = <D extends Definition>(definition: D, buffer: SharedArrayBuffer): SharedRegistry<D> => {
  const cells = new Cells(buffer)
  const instruments: Record<string, unknown> = {}
  const reads: Array<() => MetricSnapshot> = []
  let at = 1
  for (const [key, spec] of Object.entries(definition)) {
    const { help, labels = {}, name } = spec
    if (spec.kind === "histogram") {
      const histogram = new SharedHistogramSeries(cells, at, spec)
      const bounds = spec.bounds ?? defaultBounds
      instruments[key] = histogram
      reads.push(() => ({ type: "histogram", name, help, bounds, series: [{ labels, value: histogram.snapshot() }] }))
    } else if (spec.kind === "gauge") {
      const gauge = new Gauge(cells, at)
      instruments[key] = gauge
      reads.push(() => ({
        type: "gauge",
        name,
        help,
        aggregation: "last",
        series: [{ labels, value: gauge.value }]
      }))
    } else {
      const counter = new Counter(cells, at, spec)
      const type = spec.kind
      instruments[key] = counter
      reads.push(() => ({ type, name, help, series: [{ labels, value: counter.value }] }))
    }
    at += sizeOf(spec)
  }
  const typed = instruments as { readonly [K in keyof D]: InstrumentOf<D[K]> }
  return { buffer, instruments: typed, snapshotUnsafe: () => joinSeries(reads.map((read) => read())) }
}

/**
 * Makes the shared metrics, in the thread that starts the others. Throws a `RangeError` for a definition that makes no
 * sense.
 *
 * @example
 * ```ts
 * import { SharedRegistry } from "@sluice/metrics/shared"
 *
 * const definition = {
 *   requests: { kind: "counter", name: "requests_total", help: "Requests." },
 *   latency: { kind: "histogram", name: "latency_seconds", help: "Latency." }
 * } as const
 *
 * const shared = SharedRegistry.make(definition)
 * // In another thread, with the buffer that was posted to it:
 * const attached = SharedRegistry.attach(definition, shared.buffer)
 * attached.instruments.requests.incrementUnsafe()
 * attached.instruments.latency.observeUnsafe(0.25)
 * console.log(shared.instruments.requests.value) // => 1
 * console.log(shared.instruments.latency.snapshot().max) // => 0.25
 * ```
 */
export const make = <const D extends Definition>(definition: D): SharedRegistry<D> => {
  let size = 1
  for (const [key, spec] of Object.entries(definition)) {
    checked(key, spec)
    size += sizeOf(spec)
  }
  const buffer = new SharedArrayBuffer(size * 8)
  const cells = new Cells(buffer)
  cells.add(0, fingerprint(definition))
  const registry = open(definition, buffer)
  for (const instrument of Object.values(registry.instruments)) {
    if (instrument instanceof SharedHistogramSeries) instrument.clear()
  }
  return registry
}

/** Joins, in another thread. Throws a `RangeError` if the buffer was made with another definition. */
export const attach = <const D extends Definition>(definition: D, buffer: SharedArrayBuffer): SharedRegistry<D> => {
  if (new Cells(buffer).count(0) !== fingerprint(definition)) {
    throw new RangeError("Cannot attach to shared metrics: the buffer was made with another definition")
  }
  return open(definition, buffer)
}
