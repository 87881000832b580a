// `sluice-load run` and `sluice-load agent`.

import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as BuiltIn from "../builtin/BuiltIn.ts"
import { startT2e } from "../builtin/ownServer.ts"
import { whole } from "../engine/Arrivals.ts"
import * as Pattern from "../engine/Pattern.ts"
import * as Summary from "../output/Summary.ts"
import { TestFailed } from "../TestFailed.ts"
import * as Agents from "./Agents.ts"
import { type DriveFailed, drive } from "./Drive.ts"
import type { Outcome } from "./Execute.ts"
import * as Flags from "./flags.ts"
import { askedOf } from "./fromFlags.ts"
import { type Plan, plannedSeconds } from "./Plan.ts"
import * as Reporting from "./reporting.ts"

const sayAside = (text: string): void => console.error(text)

/** Runs a plan where it was asked to: in this process, on its threads, or on other machines. */
const carryOut = (
  plan: Plan,
  placement: Flags.Placement,
  hooks: Reporting.Hooks
): Effect.Effect<Outcome, DriveFailed | Agents.AgentsFailed> => {
  const { agents, meeting, patience, redis, share, startAt, workers } = placement
  const options = { ...hooks, ...(Option.isSome(startAt) ? { startAtMillis: startAt.value } : undefined) }
  return Option.isSome(agents)
    ? Agents.coordinate(plan, {
        ...options,
        name: meeting,
        agents: agents.value,
        patienceSeconds: patience,
        progress: sayAside
      }).pipe(Agents.through(redis))
    : drive(plan, { ...options, workers, share: Option.getOrElse(share, () => whole) })
}

const list = Flag.Boolean("list").pipe(
  Flag.withDescription("Tell the scenarios and patterns that there are"),
  Flag.withDefault(false)
)

/** What can be asked for by name. */
const catalogue = (): string =>
  [
    "Scenarios:",
    BuiltIn.list(),
    "",
    "Patterns of load:",
    ...[...Pattern.all, { name: "replay", summary: "the moments of a file: --replay" }].map(
      ({ name, summary }) => `${name.padEnd(12)}${summary}`
    )
  ].join("\n")

/** The server of a built-in scenario, where it is started for the run. */
const ownServer = (target: string, { baseUrl }: Flags.Flags) =>
  target === "t2e" && Option.isNone(baseUrl) ? startT2e : Effect.succeed(undefined)

const flags = { ...Flags.load, ...Flags.http, ...Flags.placement, ...Reporting.flags }

const perform = Effect.fn("sluice-load.run")(function* (
  target: string,
  given: Flags.Flags & Flags.Placement & Reporting.Flags
) {
  const url = yield* ownServer(target, given)
  const { plan, thresholds } = yield* askedOf(target, given, url)
  const reporting = yield* Reporting.make(given, thresholds)
  const { ending, result } = yield* reporting.around((hooks) => carryOut(plan, given, hooks), plannedSeconds(plan))
  yield* reporting.conclude(result)
  if (ending.kind === "missed") {
    return yield* new TestFailed({
      message: `${ending.scenario} began ${ending.begun} of ${ending.planned} iterations of a second, and the run was ended`
    })
  }
  if (ending.kind === "stopped") return yield* new TestFailed({ message: `the run was ended: ${ending.reason}` })
}, Effect.scoped)

export const run = Command.make("run", { target: Flags.target, list, ...flags }, ({ list, target, ...given }) => {
  if (list) return Console.log(catalogue())
  return Option.isNone(target)
    ? Effect.fail(
        new TestFailed({
          message: "Cannot run nothing: an address, a file or a name is needed; --list tells the names"
        })
      )
    : perform(target.value, given)
}).pipe(
  Command.withDescription("Load an address, the targets of a file, or a scenario"),
  Command.withExamples([
    {
      command: "sluice-load run http://127.0.0.1:8080/ -c 50 -d 10s",
      description: "Fifty users, each after its last answer"
    },
    {
      command: "sluice-load run http://127.0.0.1:8080/ --rate 1000 -d 1m",
      description: "A thousand arrivals a second, whatever is answered"
    },
    {
      command: "sluice-load run targets.txt --rate 100 --stages 10s:500,30s:500,10s:0",
      description: "A rate in stages"
    }
  ])
)

/** A scenario by name, as a command of its own. */
const named = (name: string) =>
  Command.make(name, flags, (given) => perform(name, given)).pipe(
    Command.withDescription(`Load ${BuiltIn.find(name)?.summary ?? name}`)
  )

export const t2e = named("t2e")
export const credential = named("credential")

export const agent = Command.make(
  "agent",
  {
    redis: Flags.placement.redis,
    meeting: Flags.placement.meeting,
    workers: Flags.placement.workers,
    again: Flag.Boolean("again").pipe(Flag.withDescription("Wait for the next run after each"), Flag.withDefault(false))
  },
  Effect.fn("sluice-load.agent")(function* ({ again, meeting, redis, workers }) {
    const once = Effect.gen(function* () {
      yield* Console.log(`waiting for ${meeting} at ${redis}`)
      const { result } = yield* Agents.agent({ name: meeting, workers, progress: sayAside })
      yield* Console.log(Summary.text(result))
    }).pipe(Agents.through(redis))
    yield* again
      ? Effect.forever(
          Effect.catch(once, ({ message }) => Effect.andThen(Console.error(message), Effect.sleep("1 second")))
        )
      : once
  })
).pipe(
  Command.withDescription("Do a share of a run that another machine coordinates"),
  Command.withExamples([
    {
      command: "sluice-load agent --redis redis://10.0.0.1:6379",
      description: "Wait for sluice-load run … --agents 3 --redis redis://10.0.0.1:6379"
    }
  ])
)
