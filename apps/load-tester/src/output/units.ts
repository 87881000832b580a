// Figures as people read them.

const trim = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text)

const MICROS_PER_MINUTE = 60e6

/** A duration in the largest unit in which it is 1 or more: `850µs`, `12.34ms`, `1.5s`, `2m5s`. */
export const duration = (micros: number): string => {
  if (micros === 0) return "0s"
  if (micros < 999.5) return `${trim(micros.toFixed(micros < 10 ? 2 : 0))}µs`
  if (micros < 999_995) return `${trim((micros / 1e3).toFixed(2))}ms`
  if (micros < MICROS_PER_MINUTE) return `${trim((micros / 1e6).toFixed(2))}s`
  const seconds = Math.round(micros / 1e6)
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  return `${hours > 0 ? `${hours}h` : ""}${minutes > 0 || hours > 0 ? `${minutes}m` : ""}${seconds % 60}s`
}

/** Bytes in decimal units: `1.2 MB`. */
export const bytes = (count: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  let value = count
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? Math.round(value) : value >= 100 ? value.toFixed(0) : trim(value.toFixed(1))} ${units[unit]}`
}

/** A whole number with a comma for each thousand. */
export const count = (value: number): string =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ",")

/** How many a second, with as many digits as tell something. */
export const perSecond = (value: number): string => `${value >= 100 ? count(value) : trim(value.toFixed(2))}/s`

/** A part of a whole: `5.00%`. */
export const percent = (part: number): string => `${(part * 100).toFixed(2)}%`
