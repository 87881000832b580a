#!/usr/bin/env node
// The `sluice-load` command. Exit codes: 0 passed, 1 failed, 2 interrupted, 99 a threshold was crossed.

import "./deno.ts"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Effect, Exit, Option } from "effect"
import { Command } from "effect/cli"
import { capacity } from "./capacity/commands.ts"
import { compare } from "./compare/commands.ts"
import { fir, perf } from "./fir/commands.ts"
import { grpc } from "./grpc/commands.ts"
import { merge, report } from "./report/commands.ts"
import { agent, credential, run, t2e } from "./run/commands.ts"
import { crossedExitCode, isThresholdsCrossed } from "./run/reporting.ts"

const program = Command.make("sluice-load").pipe(
  Command.withDescription("Loads servers, and tells what they bear"),
  Command.withSubcommands([run, agent, report, merge, compare, capacity, fir, perf, t2e, credential, grpc]),
  Command.run({ version: "0.0.0" }),
  Effect.provide(NodeServices.layer),
  Effect.tapError((error) => Effect.sync(() => console.error(`sluice-load: ${error.message}`)))
)

// Whoever reads may stop reading, as `head` does: there is nobody left to tell, and nothing has failed.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error
  process.exit(0)
})

NodeRuntime.runMain(program, {
  disableErrorReporting: true,
  teardown: (exit, onExit) => {
    if (Exit.isSuccess(exit)) onExit(0)
    else if (Cause.hasInterruptsOnly(exit.cause)) onExit(2)
    else onExit(Option.exists(Exit.findErrorOption(exit), isThresholdsCrossed) ? crossedExitCode : 1)
  }
})
