/**
 * Files of scenarios: how they are loaded, and what is wrong with one.
 *
 * @module
 */
import { dirname, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { Data, Effect } from "effect"
import * as BuiltIn from "../builtin/BuiltIn.ts"
import type { LoadTest } from "./Scenario.ts"

export class BadScenario extends Data.TaggedError("@sluice/load-tester/BadScenario")<{ readonly message: string }> {}

/** A file that was loaded. */
export interface Loaded {
  readonly test: LoadTest
  readonly path: string
  /** Where paths in it count from. */
  readonly folder: string
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const isLoadTest = (value: unknown): value is LoadTest =>
  isObject(value) &&
  "scenarios" in value &&
  isObject(value.scenarios) &&
  Object.values(value.scenarios).every(
    (scenario) => isObject(scenario) && "run" in scenario && typeof scenario.run === "function"
  )

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

export const isModule = (path: string): boolean => /\.[cm]?[jt]s$/.test(path)

/** What the path of a scenario that comes with the tester begins with. */
export const builtInScheme = "builtin:"

export const load = (path: string): Effect.Effect<Loaded, BadScenario> =>
  Effect.tryPromise({
    try: async (): Promise<Loaded> => {
      if (path.startsWith(builtInScheme)) {
        const builtIn = BuiltIn.find(path.slice(builtInScheme.length))
        if (builtIn === undefined) throw new Error("there is no such scenario")
        return { test: builtIn.test, path, folder: "." }
      }
      const full = resolve(path)
      const { default: test }: { readonly default?: unknown } = await import(pathToFileURL(full).href)
      if (!isLoadTest(test)) throw new Error("its default export must have scenarios, each with a function run")
      if (Object.keys(test.scenarios).length === 0) throw new Error("it has no scenarios")
      return { test, path: full, folder: dirname(full) }
    },
    catch: (cause) => new BadScenario({ message: `Cannot run ${path}: ${messageOf(cause)}` })
  })
