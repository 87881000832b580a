/**
 * A test in one line: a program that has to hold under every schedule. If one breaks it, the test fails with the timeline
 * of the simplest that does.
 *
 * ```text
 * import { explore } from "@sluice/schedule-explorer/vitest"
 *
 * explore("no update is lost", program, { interruptions: 1 })
 * ```
 *
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import type * as Effect from "effect/Effect"
import { it } from "vitest"
import * as Explorer from "./Explorer.ts"

export interface Options extends Explorer.Options {
  /** Where a page of the timeline is written when the test fails. */
  readonly page?: string | undefined
}

type Program = Effect.Effect<unknown, unknown>

/** Registers a test, or only it, or passes it over. */
export interface Explore {
  (name: string, program: Program, options?: Options): void
  readonly only: (name: string, program: Program, options?: Options) => void
  readonly skip: (name: string, program: Program, options?: Options) => void
}

const body = (name: string, program: Program, options: Options, place: Error) => (): void => {
  try {
    Explorer.assert(program, options)
  } catch (error) {
    if (!(error instanceof Explorer.ScheduleError)) throw error
    if (options.page !== undefined) {
      mkdirSync(dirname(options.page), { recursive: true })
      writeFileSync(options.page, Explorer.page(error.failure, { title: name }))
      error.message += `\nAs a page: ${options.page}`
    }
    // What is to be looked at is the test, not the explorer.
    error.stack = `${place.stack}`.replace(place.message, error.message)
    throw error
  }
}

const registering = (test: (name: string, run: () => void) => void): Explore["only"] =>
  function register(name, program, options = {}) {
    const place = new Error("the schedule's place")
    if ("captureStackTrace" in Error) Error.captureStackTrace(place, register)
    test(name, body(name, program, options, place))
  }

/**
 * Registers a test of a program that has to hold under every schedule, as `Explorer.assert` does.
 *
 * @param options - Those of the explorer, and where a page of a failure goes.
 */
export const explore: Explore = Object.assign(
  registering((name, run) => it(name, run)),
  { only: registering((name, run) => it.only(name, run)), skip: registering((name, run) => it.skip(name, run)) }
)
