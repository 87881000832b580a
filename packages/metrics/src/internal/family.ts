// One metric and its series. A series is found once by its labels and then
// updated without a look-up; beyond the cardinality limit, all further label
// sets share one series, so that labels made from what users send cannot fill
// the memory.

import { checkLabelNames, checkMetricName } from "./names.ts"

export type Labels = Readonly<Record<string, string>>

export interface Definition {
  readonly name: string
  readonly help: string
  readonly labels: ReadonlyArray<string>
  /** Labels that every series has besides. */
  readonly constant: Labels
  readonly maxSeries: number
}

export interface Family<S> {
  readonly definition: Definition
  readonly bind: (labels: Labels) => S
  readonly series: () => Iterable<readonly [labels: Labels, series: S]>
  readonly remove: (labels: Labels) => boolean
  readonly reset: () => void
  /** Label sets that were put into the overflow series. */
  readonly overflowed: () => number
}

/** The value that every label of the overflow series has. */
export const overflowValue = "_overflow"

export const makeFamily = <S>(
  definition: Definition,
  reservedLabels: ReadonlyArray<string>,
  makeSeries: () => S,
  warn: (message: string) => void
): Family<S> => {
  const { constant, labels: names, maxSeries, name } = definition
  checkMetricName(name)
  checkLabelNames(name, names, reservedLabels)
  const all = new Map<string, readonly [Labels, S]>()
  let overflow: readonly [Labels, S] | undefined
  let overflowed = 0

  const valuesOf = (labels: Labels): ReadonlyArray<string> => {
    const values = names.map((label) => labels[label])
    const given = Object.keys(labels)
    if (given.length !== names.length || values.includes(undefined)) {
      const wanted = names.length === 0 ? "none" : names.join(", ")
      throw new RangeError(`Cannot bind ${name} to the labels ${given.join(", ") || "none"}: its labels are ${wanted}`)
    }
    return values.map(String)
  }

  const keyOf = (values: ReadonlyArray<string>): string =>
    values.length === 1 ? (values[0] ?? "") : JSON.stringify(values)

  /** One object for as long as the series lives, so that what is made of it for a scrape can be kept with it. */
  const withConstant = (valueAt: (index: number) => string): Labels => ({
    ...constant,
    ...Object.fromEntries(names.map((label, index) => [label, valueAt(index)]))
  })

  const intoOverflow = (): S => {
    if (overflowed++ === 0) {
      warn(
        `${name} has ${maxSeries} series, which is its limit: all further label sets share the series ${overflowValue}`
      )
    }
    return overflowSeries()
  }

  const overflowSeries = (): S => {
    overflow ??= [withConstant(() => overflowValue), makeSeries()]
    return overflow[1]
  }

  return {
    definition,
    bind: (labels) => {
      const values = valuesOf(labels)
      const key = keyOf(values)
      const found = all.get(key)
      if (found !== undefined) return found[1]
      // Whoever gives this value means what it says: a series of his own would stand twice in the scrape.
      if (names.length > 0 && values.every((value) => value === overflowValue)) return overflowSeries()
      if (all.size >= maxSeries) return intoOverflow()
      const series = makeSeries()
      all.set(key, [withConstant((index) => values[index] ?? ""), series])
      return series
    },
    series: function* () {
      yield* all.values()
      if (overflow !== undefined) yield overflow
    },
    remove: (labels) => all.delete(keyOf(valuesOf(labels))),
    reset: () => {
      all.clear()
      overflow = undefined
      overflowed = 0
    },
    overflowed: () => overflowed
  }
}
