// From what was said on the command line to a plan.

import { readFileSync } from "node:fs"
import { Data, Effect } from "effect"
import { parsePattern, parseRate, parseStages } from "../engine/Pattern.ts"
import { type Shape, secondsOf } from "../engine/Shape.ts"
import * as Targets from "../scenarios/Targets.ts"
import { type Flags, get } from "./flags.ts"
import type { LoadPlan, Plan, Source } from "./Plan.ts"
import { parseMoments } from "./replay.ts"

/** What was asked for cannot be done. */
export class BadRequest extends Data.TaggedError("@sluice/load-tester/BadRequest")<{ readonly message: string }> {}

const refuse = (message: string): never => {
  throw new BadRequest({ message })
}

const readText = (path: string): Buffer => {
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

const shapeOf = (flags: Flags, level: number, from: number): Shape => {
  const stages = get(flags.stages)
  const pattern = get(flags.pattern)
  const duration = get(flags.duration)
  if (stages !== undefined && pattern !== undefined) return refuse("Cannot follow --stages and --pattern at once")
  if (stages !== undefined) {
    if (duration !== undefined) return refuse("Cannot follow --stages for another --duration: each stage has its own")
    return parseStages(stages, from)
  }
  const isCounted = get(flags.iterations) !== undefined && pattern === undefined
  const seconds = duration ?? (isCounted ? anyTime : defaultSeconds)
  return parsePattern(pattern ?? "steady", { level, seconds })
}

const checked = (shape: Shape): Shape =>
  secondsOf(shape) > 0 ? shape : refuse("Cannot load for no time: a --duration above 0 is needed")

/** The load that the flags describe: open with a rate or moments, closed otherwise. */
export const loadOf = (flags: Flags): LoadPlan => {
  const rate = get(flags.rate)
  const replay = get(flags.replay)
  const iterations = get(flags.iterations)
  const { maxInFlight } = flags
  if (replay !== undefined) {
    if (rate !== undefined || get(flags.stages) !== undefined || get(flags.pattern) !== undefined) {
      return refuse(
        "Cannot replay moments at another rate: leave out --rate, --stages and --pattern, or set --replay-speed"
      )
    }
    return { model: "replay", moments: parseMoments(readText(replay).toString("utf8"), flags.replaySpeed), maxInFlight }
  }
  if (rate !== undefined) {
    const level = parseRate(rate)
    return {
      model: "open",
      rate: checked(shapeOf(flags, level, level)),
      spacing: flags.poisson ? "poisson" : "even",
      maxInFlight,
      iterations
    }
  }
  if (flags.poisson) return refuse("Cannot space arrivals without a --rate")
  const users = get(flags.concurrency) ?? defaultUsers
  return { model: "closed", users: checked(shapeOf(flags, users, get(flags.concurrency) ?? 0)), iterations }
}

const isAddress = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(text)

const sourceOf = (target: string, flags: Flags): Source => {
  const bodyFile = get(flags.bodyFile)
  const text = get(flags.body)
  if (text !== undefined && bodyFile !== undefined) return refuse("Cannot send --body and --body-file at once")
  const body = bodyFile !== undefined ? readText(bodyFile) : text !== undefined ? Buffer.from(text) : undefined
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

/** The plan that a command line asks for. */
export const planOf = (target: string, flags: Flags): Effect.Effect<Plan, { readonly message: string }> =>
  Effect.try({
    try: (): Plan => ({
      name: target,
      seed: flags.seed,
      gracefulStopSeconds: flags.gracefulStop,
      abortBelow: get(flags.abortBelow),
      http: {
        connections: get(flags.concurrency) ?? 256,
        keepAlive: !flags.noKeepAlive,
        http2: flags.http2,
        timeoutSeconds: flags.timeout,
        connectTimeoutSeconds: flags.connectTimeout,
        insecure: flags.insecure,
        expected: flags.expect
      },
      scenarios: [
        {
          name: "default",
          startAfterSeconds: flags.startAfter,
          load: loadOf(flags),
          source: sourceOf(target, flags)
        }
      ]
    }),
    catch: (cause) => (cause instanceof Error ? cause : new BadRequest({ message: String(cause) }))
  })
