// What is told of a run, while it goes on and when it is over, and what it has to hold.

import { readFileSync } from "node:fs"
import { Console, Data, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import type { ExportFailed } from "../output/Exporters.ts"
import type { UnwritableOutput } from "../output/Files.ts"
import * as Outputs from "../output/Outputs.ts"
import * as Progress from "../output/Progress.ts"
import * as Recorder from "../results/Recorder.ts"
import type * as Result from "../results/Result.ts"
import * as Threshold from "../thresholds/Threshold.ts"

/** The run is over, and it did not hold what it had to. */
export class ThresholdsCrossed extends Data.TaggedError("@sluice/load-tester/ThresholdsCrossed")<{
  readonly message: string
  readonly verdicts: ReadonlyArray<Threshold.Verdict>
}> {}

export const isThresholdsCrossed = (error: unknown): error is ThresholdsCrossed => error instanceof ThresholdsCrossed

/** The exit code of k6 for a run that crossed its thresholds. */
export const crossedExitCode = 99

const summaries = ["text", "json", "csv", "junit", "none"] as const

export const flags = {
  threshold: Flag.String("threshold").pipe(
    Flag.withDescription(
      "What the run has to hold: 'http_req_duration: p(95)<200', in windows 'req_failed[10s]: rate<0.01'; again for more"
    ),
    Flag.atLeast(0)
  ),
  thresholds: Flag.String("thresholds").pipe(
    Flag.withDescription("JSON file with thresholds, as in the options of a k6 script"),
    Flag.optional
  ),
  abortOn: Flag.String("abort-on").pipe(
    Flag.withDescription("A threshold that ends the run as soon as it is crossed; again for more"),
    Flag.atLeast(0)
  ),
  abortDelay: Flag.Finite("abort-delay").pipe(
    Flag.withDescription("Seconds before --abort-on may end the run"),
    Flag.withDefault(0)
  ),
  out: Flag.String("out").pipe(
    Flag.withAlias("o"),
    Flag.withDescription(
      `Where the result goes too: run.slr, run.html, json=run.json, prometheus=9464, otlp=http://…/v1/metrics; again for more. Kinds: ${Outputs.kinds.join(", ")}`
    ),
    Flag.atLeast(0)
  ),
  summary: Flag.Literals("summary", summaries).pipe(
    Flag.withDescription("What is printed at the end"),
    Flag.withDefault("text" as const)
  ),
  plain: Flag.Boolean("plain").pipe(
    Flag.withDescription("A line every five seconds instead of the live view, as where there is no terminal"),
    Flag.withDefault(false)
  ),
  quiet: Flag.Boolean("quiet").pipe(
    Flag.withAlias("q"),
    Flag.withDescription("Nothing while the run goes on"),
    Flag.withDefault(false)
  )
}

export type Flags = {
  readonly [K in keyof typeof flags]: (typeof flags)[K] extends Flag.Flag<infer A> ? A : never
}

/** A run that is under way, as its reporting sees it. */
export interface View {
  readonly result: () => Result.Result
  readonly stop: (reason: string) => void
}

/** What a run calls while it goes on. */
export interface Hooks {
  readonly begun: (view: View) => void
  /** Once a second; unset where nobody looks. */
  readonly watch?: (view: View) => void
}

export interface Reporting {
  /** Runs, and shows it meanwhile. What an interrupted run came to is told too. */
  readonly around: <A, E, R>(
    run: (hooks: Hooks) => Effect.Effect<A, E, R>,
    plannedSeconds: number | undefined
  ) => Effect.Effect<A, E | ExportFailed, R>
  /** Tells what a run came to. Fails if it crossed a threshold. */
  readonly conclude: (result: Result.Result) => Effect.Effect<void, ThresholdsCrossed | ExportFailed | UnwritableOutput>
}

const fromFile = (path: string): Effect.Effect<ReadonlyArray<Threshold.Threshold>, Threshold.BadThreshold> =>
  Effect.try({
    try: (): unknown => JSON.parse(readFileSync(path, "utf8")),
    catch: (cause) =>
      new Threshold.BadThreshold({
        message: `Cannot read thresholds from ${path}: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  }).pipe(Effect.flatMap(Threshold.fromK6))

/** Every threshold that the command line names; those of `--abort-on` end the run. */
export const thresholdsOf = Effect.fnUntraced(function* (given: Flags) {
  const listed = yield* Effect.forEach(given.threshold, (text) => Threshold.parse(text))
  const filed = Option.isSome(given.thresholds) ? yield* fromFile(given.thresholds.value) : []
  const aborting = yield* Effect.forEach(given.abortOn, (text) =>
    Threshold.parse(text, { abortOnFail: true, abortDelaySeconds: given.abortDelay })
  )
  return [...filed, ...listed, ...aborting]
})

/** Prepares what was asked for. `scripted` are thresholds that a scenario has of its own. */
export const make = Effect.fnUntraced(function* (given: Flags, scripted: ReadonlyArray<Threshold.Threshold> = []) {
  const thresholds = [...scripted, ...(yield* thresholdsOf(given))]
  const outputs = yield* Effect.forEach(given.out, Outputs.parse)
  yield* Outputs.check(outputs)
  const screen = Progress.standardError()
  const mode = Progress.modeFor(screen, given)
  const watch = (view: View): void => {
    const crossed = Threshold.aborting(thresholds, view.result())
    if (crossed !== undefined) view.stop(`crossed ${crossed.threshold.text}`)
  }
  // Threads and machines tell what they have come to only where somebody looks.
  const isWatched =
    mode !== "quiet" ||
    thresholds.some(({ abortOnFail }) => abortOnFail) ||
    outputs.some(({ kind }) => kind === "prometheus" || kind === "otlp")
  const conclude: Reporting["conclude"] = Effect.fnUntraced(function* (result) {
    const verdicts = Threshold.evaluateAll(thresholds, result)
    if (given.summary !== "none") {
      yield* Console.log(String(Outputs.render(given.summary, result, verdicts)).trimEnd())
    }
    yield* Outputs.write(outputs, result, verdicts)
    const crossed = verdicts.filter(({ isMet }) => !isMet)
    if (crossed.length > 0) {
      const list = crossed.map(({ threshold }) => threshold.text).join(", ")
      return yield* new ThresholdsCrossed({ message: `thresholds were crossed: ${list}`, verdicts })
    }
  })
  const reporting: Reporting = {
    conclude,
    around: (run, plannedSeconds) =>
      Effect.suspend(() => {
        let view: View | undefined
        const nothing = Recorder.make({ startedAtMillis: Date.now() }).result(0)
        const read = (): Result.Result => view?.result() ?? nothing
        const hooks: Hooks = {
          begun: (started) => {
            view = started
          },
          ...(isWatched ? { watch } : undefined)
        }
        return Effect.gen(function* () {
          const said = yield* Outputs.open(outputs, read)
          if (mode !== "quiet") for (const line of said) screen.write(`${line}\n`)
          yield* Effect.acquireRelease(
            Effect.sync(() => Progress.show({ mode, screen, read, plannedSeconds })),
            (end) => Effect.sync(end)
          )
          return yield* run(hooks)
        }).pipe(
          Effect.scoped,
          Effect.onInterrupt(() => (view === undefined ? Effect.void : Effect.ignore(conclude(view.result()))))
        )
      })
  }
  return reporting
})
