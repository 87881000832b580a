// What the options of an adaptive limit may be.

import * as Duration from "effect/Duration"
import { isCount } from "./line.ts"

export const fail = (name: string, value: unknown, allowed: string): never => {
  throw new RangeError(`Cannot make an adaptive limit: ${name} must be ${allowed}, received ${String(value)}`)
}

export const within = (name: string, value: number, least: number, most: number): number =>
  value >= least && value <= most ? value : fail(name, value, `from ${least} to ${most}`)

export const count = (name: string, value: number): number =>
  isCount(value) && value > 0 ? value : fail(name, value, "a whole number, 1 or more")

export const millis = (name: string, value: Duration.Input): number => {
  const duration = Duration.toMillis(Duration.fromInputUnsafe(value))
  return duration > 0 ? duration : fail(name, value, "longer than nothing")
}
