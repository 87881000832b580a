// What a registry holds, by name. A metric stands in the text formats under
// several names (`_bucket`, `_sum`, `_count`…), and none of them may be another's.
//
// What is read from elsewhere may fail, or tell what does not fit; the scrape goes
// on without it, and a warning is given once.

import type { MetricSnapshot } from "../Instruments.ts"

export interface Entry {
  readonly type: MetricSnapshot["type"]
  readonly snapshot: () => MetricSnapshot
  readonly reset: () => void
}

const suffixes: Readonly<Record<MetricSnapshot["type"], ReadonlyArray<string>>> = {
  counter: [""],
  updown: [""],
  gauge: [""],
  histogram: ["", "_bucket", "_sum", "_count", "_created"],
  fixed: ["", "_bucket", "_sum", "_count", "_created"],
  summary: ["", "_sum", "_count", "_created"]
}

/** The names under which a metric stands in a scrape. */
const exposed = (name: string, type: MetricSnapshot["type"]): ReadonlyArray<string> =>
  type === "counter" ? [name, `${name.replace(/_total$/, "")}_created`] : suffixes[type].map((suffix) => name + suffix)

export class Roster {
  private readonly entries: Map<string, Entry> = new Map()
  /** Which metric each exposed name belongs to. */
  private readonly owners: Map<string, string> = new Map()
  private readonly sources: Array<() => Iterable<MetricSnapshot>> = []
  private readonly warned: Set<string> = new Set()
  private readonly warn: (message: string) => void

  constructor(warn: (message: string) => void) {
    this.warn = warn
  }

  register(name: string, entry: Entry): void {
    for (const taken of exposed(name, entry.type)) {
      const owner = this.owners.get(taken)
      if (owner === undefined) continue
      const type = this.entries.get(owner)?.type ?? "metric"
      const what = owner === name ? `a ${type} of that name already` : `${taken}, which belongs to the ${type} ${owner}`
      throw new RangeError(`Cannot register ${name}: the registry has ${what}`)
    }
    this.entries.set(name, entry)
    for (const taken of exposed(name, entry.type)) this.owners.set(taken, name)
  }

  unregister(name: string): boolean {
    const entry = this.entries.get(name)
    if (entry === undefined) return false
    this.entries.delete(name)
    for (const taken of exposed(name, entry.type)) this.owners.delete(taken)
    return true
  }

  include(read: () => Iterable<MetricSnapshot>): void {
    this.sources.push(read)
  }

  snapshot(): ReadonlyArray<MetricSnapshot> {
    const snapshots: Array<MetricSnapshot> = []
    for (const [name, entry] of this.entries) {
      this.reading(name, () => snapshots.push(entry.snapshot()))
    }
    const taken = new Set(this.owners.keys())
    for (const read of this.sources) {
      this.reading("what is included", () => {
        for (const snapshot of read()) {
          const names = exposed(snapshot.name, snapshot.type)
          if (names.some((name) => taken.has(name))) {
            this.warnOnce(snapshot.name, "it is included from elsewhere, and the name is taken")
            continue
          }
          for (const name of names) taken.add(name)
          snapshots.push(snapshot)
        }
      })
    }
    return snapshots
  }

  reset(): void {
    for (const entry of this.entries.values()) entry.reset()
  }

  private reading(name: string, read: () => void): void {
    try {
      read()
    } catch (error) {
      this.warnOnce(name, error instanceof Error ? error.message : String(error))
    }
  }

  private warnOnce(name: string, why: string): void {
    const message = `The scrape goes without ${name}: ${why}`
    if (this.warned.has(message)) return
    this.warned.add(message)
    this.warn(message)
  }
}
