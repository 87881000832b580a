// The text of deadlines on the wire. What is sent is never later than what is
// in force, so that the called gives up no later than the caller.

export const encodeDeadline = (epochMillis: number): string => new Date(Math.floor(epochMillis)).toISOString()

const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

export const parseDeadline = (value: string): number | undefined => {
  const text = value.trim()
  if (/^\d{1,15}$/.test(text)) return Number(text)
  if (!rfc3339.test(text)) return undefined
  const at = Date.parse(text.toUpperCase())
  return Number.isNaN(at) ? undefined : at
}

const units: ReadonlyArray<readonly [unit: string, millis: number]> = [
  ["n", 1e-6],
  ["u", 1e-3],
  ["m", 1],
  ["S", 1000],
  ["M", 60_000],
  ["H", 3_600_000]
]

const MOST = 99_999_999

// gRPC allows eight digits: the finest unit that they suffice for, milliseconds
// where they say it exactly.
export const encodeGrpcTimeout = (millis: number): string => {
  if (Number.isInteger(millis) && millis <= MOST) return `${millis}m`
  for (const [unit, size] of units) {
    const count = Math.floor(millis / size)
    if (unit !== "n" && count <= MOST) return `${count}${unit}`
  }
  return `${MOST}H`
}

export const parseGrpcTimeout = (value: string): number | undefined => {
  const found = /^(\d{1,8})([HMSmun])$/.exec(value.trim())
  const size = units.find(([unit]) => unit === found?.[2])?.[1]
  return found === null || size === undefined ? undefined : Number(found[1]) * size
}
