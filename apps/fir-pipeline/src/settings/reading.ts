// Reads variables one by one and remembers every one that is bad.
import { Config, Data, Effect, Option } from "effect"
import type { Kind } from "./kinds.ts"

export interface BadVariable {
  readonly name: string
  readonly value: string
  readonly allowed: string
}

export class BadSettings extends Data.TaggedError("BadSettings")<{ readonly variables: ReadonlyArray<BadVariable> }> {
  override get message(): string {
    return this.variables
      .map(({ allowed, name, value }) => `Cannot use ${name}=${value}: allowed is ${allowed}`)
      .join("\n")
  }
}

export interface Reading {
  /** The value of a variable, or `fallback` where it is not set. */
  read<A, const F>(name: string, kind: Kind<A>, fallback: F): Effect.Effect<A | F, Config.ConfigError>
  /** The same for what must not be shown. */
  secret<A>(name: string, kind: Kind<A>): Effect.Effect<A | undefined, Config.ConfigError>
  readonly bad: ReadonlyArray<BadVariable>
  /** Tells of a variable that is bad in a way that its value alone does not show. */
  refuse(variable: BadVariable): void
}

export const makeReading = (): Reading => {
  const bad: Array<BadVariable> = []
  const from = <A, const F>(name: string, kind: Kind<A>, fallback: F, show: (raw: string) => string) =>
    Effect.map(Config.option(Config.String(name)), (found): A | F => {
      const raw = Option.getOrUndefined(found)
      if (raw === undefined || raw === "") return fallback
      const value = kind.parse(raw)
      if (value !== undefined) return value
      bad.push({ name, value: show(raw), allowed: kind.allowed })
      return fallback
    })
  return {
    read: (name, kind, fallback) => from(name, kind, fallback, (raw) => JSON.stringify(raw)),
    secret: (name, kind) => from(name, kind, undefined, () => "(secret)"),
    bad,
    refuse: (variable) => void bad.push(variable)
  }
}
