// `sluice-load grpc`.

import { Patterns } from "@sluice/grpc-pool/patterns"
import { EchoServer } from "@sluice/grpc-pool/testing"
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { save, TestFailed } from "../TestFailed.ts"
import * as Text from "./Text.ts"

const known = Patterns.all.map(({ name }) => name).join(", ")

/** Servers of its own, as many as a pattern needs at most. */
const ownServers = Effect.forEach(
  Array.from({ length: Math.max(...Patterns.all.map(({ minAddresses }) => minAddresses)) }),
  () => Effect.map(EchoServer.make(), ({ address }) => address)
)

const chosen = (names: ReadonlyArray<string>) =>
  Effect.forEach(names, (name) => {
    const pattern = Patterns.all.find((pattern) => pattern.name === name)
    return pattern === undefined
      ? Effect.fail(new TestFailed({ message: `Cannot run the pattern ${name}: the patterns are ${known}` }))
      : Effect.succeed(pattern)
  })

export const grpc = Command.make(
  "grpc",
  {
    patterns: Argument.String("pattern").pipe(
      Argument.withDescription("Patterns to run; default all"),
      Argument.variadic()
    ),
    address: Flag.String("address").pipe(
      Flag.withDescription("Servers of the echo service, with commas between; default servers of its own"),
      Flag.optional
    ),
    list: Flag.Boolean("list").pipe(Flag.withDescription("Tell the patterns that there are"), Flag.withDefault(false)),
    out: Flag.String("out").pipe(
      Flag.withDescription("File for the results"),
      Flag.withDefault("grpc_test_results.json")
    )
  },
  Effect.fn("sluice-load.grpc")(function* (flags) {
    if (flags.list) {
      yield* Console.log(Text.list(Patterns.all))
      return
    }
    const patterns = flags.patterns.length === 0 ? Patterns.all : yield* chosen(flags.patterns)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const addresses = Option.isSome(flags.address)
          ? flags.address.value.split(",").map((address) => address.trim())
          : yield* ownServers
        yield* Console.log(
          `gRPC patterns on ${addresses.join(", ")}${Option.isNone(flags.address) ? ", servers in this process" : ""}\n`
        )
        yield* Console.log(Text.header)
        const reports: Array<Patterns.Report> = []
        for (const pattern of patterns) {
          if (pattern.minAddresses > addresses.length) {
            yield* Console.log(`${pattern.name}: left out, since it needs ${pattern.minAddresses} addresses`)
            continue
          }
          const report = yield* Effect.scoped(pattern.run({ addresses }))
          reports.push(report)
          yield* Console.log(Text.line(report))
        }
        yield* save(flags.out, reports)
        yield* Console.log(`\nResults saved to ${flags.out}`)
        const failed = reports.reduce((sum, report) => sum + report.failed, 0)
        if (failed > 0) return yield* new TestFailed({ message: `${failed} calls failed` })
      })
    )
  })
).pipe(
  Command.withDescription("Run the patterns of concurrent gRPC clients"),
  Command.withExamples([
    { command: "sluice-load grpc", description: "All patterns, on servers of its own" },
    {
      command: "sluice-load grpc burst_traffic_pattern --address http://127.0.0.1:50051",
      description: "One pattern, on a server that runs"
    }
  ])
)
