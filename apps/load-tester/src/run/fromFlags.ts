// From what was said on the command line to a plan.

import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { Data, Effect, Option } from "effect"
import * as BuiltIn from "../builtin/BuiltIn.ts"
import { parsePattern, parseRate, parseSeconds, parseStages } from "../engine/Pattern.ts"
import { type Shape, secondsOf } from "../engine/Shape.ts"
import * as ModuleFile from "../scenarios/ModuleFile.ts"
import type { LoadSpec } from "../scenarios/Scenario.ts"
import * as Targets from "../scenarios/Targets.ts"
import * as Threshold from "../thresholds/Threshold.ts"
import type { Flags } from "./flags.ts"
import type { LoadPlan, Plan, ScenarioPlan, Source } from "./Plan.ts"
import { parseMoments } from "./replay.ts"

/** What was asked for cannot be done. */
export class BadRequest extends Data.TaggedError("@sluice/load-tester/BadRequest")<{ readonly message: string }> {}

const refuse = (message: string): never => {
  throw new BadRequest({ message })
}

const read = (path: string): Buffer => {
  try {
    return readFileSync(path)
  } catch (cause) {
    return refuse(`Cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}

const defaultUsers = 10
const defaultSeconds = 10
/** Long enough for any number of iterations. */
const anyTime = 24 * 3600

const shapeOf = ({ duration, iterations, pattern, stages }: LoadSpec, level: number, from: number): Shape => {
  if (stages !== undefined && pattern !== undefined) return refuse("Cannot follow stages and a pattern at once")
  if (stages !== undefined) {
    if (duration !== undefined) return refuse("Cannot follow stages for another duration: each stage has its own")
    return parseStages(stages, from)
  }
  const otherwise = iterations !== undefined && pattern === undefined ? anyTime : defaultSeconds
  const seconds = duration === undefined ? otherwise : parseSeconds(duration)
  return parsePattern(pattern ?? "steady", { level, seconds })
}

const checked = (shape: Shape): Shape =>
  secondsOf(shape) > 0 ? shape : refuse("Cannot load for no time: a duration above 0 is needed")

/** The load that is asked for: open with a rate or moments, closed otherwise. */
export const loadOf = (spec: LoadSpec, folder: string): LoadPlan => {
  const { iterations, maxInFlight = 10_000, pattern, poisson = false, rate, replay, stages, users } = spec
  if (replay !== undefined) {
    if (rate !== undefined || stages !== undefined || pattern !== undefined) {
      return refuse(
        "Cannot replay moments at another rate: leave out the rate, stages and pattern, or set the replay's speed"
      )
    }
    const text = read(resolve(folder, replay)).toString("utf8")
    return { model: "replay", moments: parseMoments(text, spec.replaySpeed), maxInFlight }
  }
  if (rate !== undefined) {
    const level = typeof rate === "number" ? rate : parseRate(rate)
    const shape = checked(shapeOf(spec, level, level))
    return { model: "open", rate: shape, spacing: poisson ? "poisson" : "even", maxInFlight, iterations }
  }
  if (poisson) return refuse("Cannot space arrivals without a rate")
  return { model: "closed", users: checked(shapeOf(spec, users ?? defaultUsers, users ?? 0)), iterations }
}

const get = Option.getOrUndefined

const specOf = (flags: Flags): LoadSpec => {
  const given = {
    users: get(flags.concurrency),
    rate: get(flags.rate),
    duration: get(flags.duration),
    stages: get(flags.stages),
    pattern: get(flags.pattern),
    iterations: get(flags.iterations),
    replay: get(flags.replay)
  }
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    poisson: flags.poisson,
    maxInFlight: flags.maxInFlight,
    replaySpeed: flags.replaySpeed
  }
}

const isAddress = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(text)

const sourceOf = (target: string, flags: Flags): Source => {
  const bodyFile = get(flags.bodyFile)
  const text = get(flags.body)
  if (text !== undefined && bodyFile !== undefined) return refuse("Cannot send --body and --body-file at once")
  const body = bodyFile !== undefined ? read(bodyFile) : text !== undefined ? Buffer.from(text) : undefined
  if (isAddress(target)) {
    return {
      kind: "targets",
      targets: [Targets.make({ method: get(flags.method), url: target, headers: flags.header, body })]
    }
  }
  if (body !== undefined || get(flags.method) !== undefined) {
    return refuse(`Cannot send another body or method to the targets of ${target}: the file has them`)
  }
  return {
    kind: "targets",
    targets: Targets.load(target).map((one) => ({ ...one, headers: [...one.headers, ...flags.header] }))
  }
}

// Scenarios with a load of their own run beside each other; the others share what the command line asks for.
const moduleScenarios = ({ folder, path, test }: ModuleFile.Loaded, flags: Flags): ReadonlyArray<ScenarioPlan> => {
  const all = Object.entries(test.scenarios)
  const own = all.flatMap(
    ([name, { load, startAfter }]): ReadonlyArray<ScenarioPlan> =>
      load === undefined
        ? []
        : [
            {
              name,
              startAfterSeconds: startAfter === undefined ? 0 : parseSeconds(startAfter),
              load: loadOf(load, folder),
              source: { kind: "module", path, names: [name] }
            }
          ]
  )
  const names = all.filter(([, { load }]) => load === undefined).map(([name]) => name)
  if (names.length === 0) return own
  const startAfter = names.map((name) => test.scenarios[name]?.startAfter).find((time) => time !== undefined)
  if (startAfter !== undefined) return refuse(`Cannot begin later after ${startAfter} without a load of its own`)
  return [
    ...own,
    {
      name: names.join(", "),
      startAfterSeconds: flags.startAfter,
      load: loadOf(specOf(flags), "."),
      source: { kind: "module", path, names }
    }
  ]
}

const attempt = <A>(make: () => A): Effect.Effect<A, BadRequest> =>
  Effect.try({
    try: make,
    catch: (cause) => new BadRequest({ message: cause instanceof Error ? cause.message : String(cause) })
  })

/** What a command line asks for. */
export interface Asked {
  readonly plan: Plan
  /** Those of the scenario file. */
  readonly thresholds: ReadonlyArray<Threshold.Threshold>
}

/** What a command line asks for. `url` is where the server of a scenario is, where the flags leave that open. */
export const askedOf = Effect.fnUntraced(function* (target: string, flags: Flags, url?: string) {
  const builtIn = BuiltIn.find(target)
  const file =
    builtIn !== undefined
      ? `${ModuleFile.builtInScheme}${target}`
      : !isAddress(target) && ModuleFile.isModule(target)
        ? target
        : undefined
  const loaded = file === undefined ? undefined : yield* ModuleFile.load(file)
  const scenarios =
    loaded !== undefined
      ? yield* attempt(() => moduleScenarios(loaded, flags))
      : yield* attempt(
          (): ReadonlyArray<ScenarioPlan> => [
            {
              name: "default",
              startAfterSeconds: flags.startAfter,
              load: loadOf(specOf(flags), "."),
              source: sourceOf(target, flags)
            }
          ]
        )
  const plan: Plan = {
    name: target,
    seed: flags.seed,
    gracefulStopSeconds: flags.gracefulStop,
    abortBelow: get(flags.abortBelow),
    baseUrl: get(flags.baseUrl) ?? url ?? builtIn?.url,
    http: {
      connections: get(flags.connections) ?? (get(flags.rate) === undefined ? undefined : get(flags.concurrency)),
      keepAlive: !flags.noKeepAlive,
      http2: flags.http2,
      timeoutSeconds: flags.timeout,
      connectTimeoutSeconds: flags.connectTimeout,
      insecure: flags.insecure,
      expected: flags.expect
    },
    scenarios
  }
  const thresholds = loaded?.test.thresholds === undefined ? [] : yield* Threshold.fromK6(loaded.test.thresholds)
  const asked: Asked = { plan, thresholds }
  return asked
})

/** The plan alone. */
export const planOf = (target: string, flags: Flags) => Effect.map(askedOf(target, flags), ({ plan }) => plan)
