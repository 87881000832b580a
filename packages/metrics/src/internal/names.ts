// The rules of the exposition formats for names, checked when an instrument is
// made, so that a scrape cannot fail for one.

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/

export const checkMetricName = (name: string): void => {
  if (!metricName.test(name)) {
    throw new RangeError(
      `Cannot register a metric as ${JSON.stringify(name)}: letters, digits, _ and : are allowed, and no digit first`
    )
  }
}

export const checkLabelNames = (
  metric: string,
  labels: ReadonlyArray<string>,
  reserved: ReadonlyArray<string>
): void => {
  for (const label of labels) {
    if (!labelName.test(label) || label.startsWith("__") || reserved.includes(label)) {
      throw new RangeError(
        `Cannot give ${metric} a label ${JSON.stringify(label)}: letters, digits and _ are allowed, no digit first, no __ at the start, and none of ${reserved.join(", ") || "the reserved names"}`
      )
    }
  }
  if (new Set(labels).size < labels.length) {
    throw new RangeError(`Cannot give ${metric} the labels ${labels.join(", ")}: each name once`)
  }
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", '"': '\\"' }

export const escapeLabelValue = (value: string): string =>
  !/[\\\n"]/.test(value) ? value : value.replaceAll(/[\\\n"]/g, (character) => escapes[character] ?? character)

export const escapeHelp = (help: string): string =>
  help.replaceAll(/[\\\n]/g, (character) => escapes[character] ?? character)
