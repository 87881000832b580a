#!/usr/bin/env node
// The `t2e` command. Exit codes: 0 all is well, 1 an item or a suite failed, 2
// the command could not be carried out, 130 interrupted.

import "./deno.ts"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Effect, Exit } from "effect"
import { CliError, Command } from "effect/cli"
import { bulkCreate } from "./cli/bulkCreate.ts"
import { CommandError } from "./cli/connection.ts"
import { serve } from "./cli/serve.ts"
import { test } from "./cli/test.ts"

const program = Command.make("t2e").pipe(
  Command.withDescription("The Text2Everything SDK at the command line"),
  Command.withSubcommands([bulkCreate, test, serve]),
  Command.run({ version: "0.0.0" }),
  Effect.provide(NodeServices.layer),
  Effect.tapCause((cause) =>
    Effect.sync(() => {
      const error = Cause.squash(cause)
      // What is wrong with the arguments has been printed with the help.
      if (Cause.hasInterruptsOnly(cause) || CliError.isCliError(error)) return
      console.error(Cause.hasDies(cause) || !(error instanceof Error) ? Cause.pretty(cause) : `t2e: ${error.message}`)
    })
  )
)

NodeRuntime.runMain(program, {
  disableErrorReporting: true,
  teardown: (exit, onExit) => {
    if (Exit.isSuccess(exit)) return onExit(0)
    if (Cause.hasInterruptsOnly(exit.cause)) return onExit(130)
    const error = Cause.squash(exit.cause)
    // Not `onExit`, which would end the process before a pipe has taken all of the output.
    process.exitCode = error instanceof CommandError ? error.exitCode : 2
    onExit(0)
  }
})
