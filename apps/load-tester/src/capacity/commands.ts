// `sluice-load capacity`.

import { extname } from "node:path"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Files from "../output/Files.ts"
import { drive } from "../run/Drive.ts"
import * as RunFlags from "../run/flags.ts"
import { planOf } from "../run/fromFlags.ts"
import { TestFailed } from "../TestFailed.ts"
import type * as Threshold from "../thresholds/Threshold.ts"
import * as Objective from "./Objective.ts"
import * as Plot from "./Plot.ts"
import * as Search from "./Search.ts"

const above = (least: number, name: string) =>
  Flag.filter(
    (value: number) => value > least,
    (value) => `--${name} ${value}: a number above ${least} is needed`
  )

const flags = {
  // What piles up is bounded, and trials end soon after their time: a server that is overloaded would be drained for long.
  maxInFlight: Flag.Int("max-in-flight").pipe(
    Flag.withDescription("Iterations under way at most; what comes then is dropped, and the rate not held"),
    Flag.withDefault(2_000),
    above(0, "max-in-flight")
  ),
  gracefulStop: Flag.Finite("graceful-stop").pipe(
    Flag.withDescription("Seconds that what is under way at the end of a trial may take"),
    Flag.withDefault(2),
    above(0, "graceful-stop")
  ),
  slo: Flag.String("slo").pipe(
    Flag.withDescription(
      "What has to hold: 'p(99)<200' of latency, 'rate<0.01' of failures, or any threshold; again for more"
    ),
    Flag.atLeast(1)
  ),
  start: Flag.Finite("start").pipe(
    Flag.withDescription("The rate to begin with, a second"),
    Flag.withDefault(100),
    above(0, "start")
  ),
  max: Flag.Finite("max").pipe(Flag.withDescription("No rate above is tried"), above(0, "max"), Flag.optional),
  each: Flag.String("each").pipe(Flag.withDescription("How long each trial is"), Flag.withDefault("10s")),
  warmUp: Flag.String("warm-up").pipe(
    Flag.withDescription("How long the first rate is sent before anything counts; 0 for not at all"),
    Flag.withDefault("2s")
  ),
  precision: Flag.Finite("precision").pipe(
    Flag.withDescription("How narrow the gap becomes between what holds and what fails, as a part"),
    Flag.withDefault(0.05),
    above(0, "precision")
  ),
  confirm: Flag.Int("confirm").pipe(
    Flag.withDescription("How often the found rate has to hold again"),
    Flag.withDefault(2),
    above(-1, "confirm")
  ),
  out: Flag.String("out").pipe(
    Flag.withAlias("o"),
    Flag.withDescription("File for the plot and the trials: .html or .json; again for more"),
    Flag.atLeast(0)
  )
}

const json = (found: Search.Found<Objective.Run>, objectives: ReadonlyArray<Threshold.Threshold>): string =>
  `${JSON.stringify(
    {
      objectives: objectives.map(({ text }) => text),
      rate: found.rate ?? null,
      failsAt: found.failsAt ?? null,
      confirmed: found.isConfirmed,
      clientLimited: found.isClientLimited,
      trials: found.trials.map(({ measured, rate, step }) => ({
        step,
        ...Objective.pointOf(rate, measured),
        achieved: measured.achieved,
        clientLimited: measured.isClientLimited
      }))
    },
    null,
    2
  )}\n`

const { concurrency, poisson, seed } = RunFlags.load

export const capacity = Command.make(
  "capacity",
  {
    target: RunFlags.target,
    concurrency,
    poisson,
    seed,
    workers: RunFlags.placement.workers,
    ...RunFlags.http,
    ...flags
  },
  Effect.fn("sluice-load.capacity")(function* (given) {
    if (Option.isNone(given.target)) {
      return yield* new TestFailed({ message: "Cannot measure nothing: an address or a file is needed" })
    }
    const target = given.target.value
    const objectives = yield* Effect.forEach(given.slo, Objective.parse)
    yield* Effect.forEach(given.out, Files.writable)
    const at = (rate: number, duration: string) =>
      planOf(target, {
        ...given,
        rate: Option.some(rate.toFixed(2)),
        duration: Option.some(duration),
        iterations: Option.none(),
        stages: Option.none(),
        pattern: Option.none(),
        replay: Option.none(),
        replaySpeed: 1,
        startAfter: 0,
        abortBelow: Option.none()
      }).pipe(Effect.flatMap((plan) => drive(plan, { workers: given.workers })))
    if (!/^0[a-z]*$/.test(given.warmUp)) yield* at(given.start, given.warmUp)
    yield* Console.log(`Capacity of ${target} for ${objectives.map(({ text }) => text).join(", ")}\n`)
    const found = yield* Search.search({
      start: given.start,
      precision: given.precision,
      confirmations: given.confirm,
      ...(Option.isSome(given.max) ? { most: given.max.value } : undefined),
      measure: (rate, step) =>
        at(rate, given.each).pipe(
          Effect.map(({ result }) => Objective.judge(objectives, result)),
          Effect.tap((measured) => Console.log(Plot.trial({ rate, step, measured })))
        )
    })
    yield* Console.log(`\n${Plot.text(found.trials, objectives)}\n\n${Plot.conclusion(found)}`)
    for (const path of given.out) {
      yield* Files.write(
        path,
        extname(path) === ".json" ? json(found, objectives) : Plot.html(found, objectives, target)
      )
    }
    if (found.rate === undefined) return yield* new TestFailed({ message: "no rate held the objective" })
  })
).pipe(
  Command.withDescription("Find the greatest rate at which a server holds an objective"),
  Command.withExamples([
    {
      command: "sluice-load capacity http://127.0.0.1:8080/ --slo 'p(99)<200' --slo 'rate<0.01' --out capacity.html",
      description: "By doubling, halving and confirming, with a plot of latency against load"
    }
  ])
)
