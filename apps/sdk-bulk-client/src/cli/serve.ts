// `t2e serve`: the API on this machine.

import { Config, Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { behaviourConfig, describe } from "../server/Behaviour.ts"
import * as Server from "../server/Server.ts"

export const serve = Command.make(
  "serve",
  {
    port: Flag.Int("port").pipe(Flag.withDescription("0 picks a free one"), Flag.withDefault(8080)),
    database: Flag.String("database").pipe(
      Flag.withDescription("File that keeps the objects; default in memory"),
      Flag.withDefault(":memory:")
    )
  },
  Effect.fn("t2e.serve")(function* ({ database, port }) {
    const behaviour = yield* behaviourConfig
    const accessToken = yield* Config.option(Config.String("T2E_SERVER_ACCESS_TOKEN"))
    const server = yield* Server.run({
      port,
      database,
      behaviour,
      ...(Option.isSome(accessToken) ? { accessToken: accessToken.value } : {})
    })
    yield* Console.log(
      [
        `Text2Everything API over SQLite (${database}), listening on ${server.url}`,
        ...describe(behaviour),
        Option.isSome(accessToken) ? "credential: the one of T2E_SERVER_ACCESS_TOKEN" : "credential: any"
      ].join("\n")
    )
    yield* Effect.never
  }, Effect.scoped)
).pipe(Command.withDescription("Run the API on this machine; see T2E_SERVER_LATENCY, T2E_SERVER_FAULT_429 and others"))
