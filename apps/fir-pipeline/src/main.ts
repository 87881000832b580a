#!/usr/bin/env node
/**
 * The commands of the app: `serve`, `model-server` and `user-key`.
 *
 * @module
 */
import "./deno.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Data, Effect, Exit } from "effect"
import { newUser, ROLES } from "./Users.ts"

const HELP = `Usage: main.ts <command>

  serve                 the FIR server; starts the embedded model server unless MODEL_SERVER_URL is set
  model-server          the embedded model server alone
  user-key <role> <name>  a new user for USERS_FILE, and the key that he is told; roles are ${ROLES.join(", ")}

Settings are environment variables; the README lists them. PORT=0 takes a free port.
Each server prints one line \`listening on <url>\` when it is ready.`

class BadCommand extends Data.TaggedError("BadCommand")<{ readonly message: string }> {}

const [command, ...rest] = process.argv.slice(2)

const userKey = Effect.suspend(() => {
  const role = ROLES.find((role) => role === rest[0])
  const name = rest.slice(1).join(" ")
  if (role === undefined || name === "") {
    return Effect.fail(new BadCommand({ message: `Cannot make a key: give a role (${ROLES.join(", ")}) and a name` }))
  }
  const { key, user } = newUser(name, role)
  return Effect.sync(() => console.log(`key for ${name}: ${key}\nline for USERS_FILE: ${JSON.stringify(user)}`))
})

// Each command reads what it needs and no more.
const program =
  command === "serve"
    ? Effect.flatMap(
        Effect.promise(() => import("./serve.ts")),
        ({ runServer }) => runServer
      )
    : command === "model-server"
      ? Effect.flatMap(
          Effect.promise(() => import("./serveModels.ts")),
          ({ runModelServer }) => runModelServer
        )
      : command === "user-key"
        ? userKey
        : command === "help" || command === "--help"
          ? Effect.sync(() => console.log(HELP))
          : Effect.fail(new BadCommand({ message: `Cannot run ${command ?? "nothing"}\n${HELP}` }))

const report = (cause: Cause.Cause<{ readonly message: string }>) =>
  Effect.sync(() => {
    if (Cause.hasInterruptsOnly(cause)) return
    const error = Cause.squash(cause)
    console.error(Cause.hasDies(cause) || !(error instanceof Error) ? Cause.pretty(cause) : error.message)
  })

// SIGTERM and SIGINT interrupt; what was admitted has been served by then, so that is a good end.
NodeRuntime.runMain(Effect.tapCause(program, report), {
  disableErrorReporting: true,
  teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
})
