// `t2e bulk-create`: every item of a file, and what became of each.

import { closeSync, openSync, writeSync } from "node:fs"
import { Console, Effect, Fiber, Option, type Schema, type Scope, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { BulkOptions, ItemResult, StreamError } from "../Bulk.ts"
import * as Client from "../Client.ts"
import * as Models from "../Models.ts"
import { CommandError, clientOptions, connection } from "./connection.ts"
import * as Items from "./items.ts"
import * as ProgressBar from "./progressBar.ts"

const resources = ["contexts", "golden-examples", "schema-metadata"] as const
type ResourceName = (typeof resources)[number]

const schemas: Readonly<Record<ResourceName, Schema.Codec<unknown, unknown>>> = {
  contexts: Models.ContextCreate,
  "golden-examples": Models.GoldenExampleCreate,
  "schema-metadata": Models.SchemaMetadataCreate
}

const createStream = (
  client: Client.Text2Everything,
  resource: ResourceName,
  project: string,
  path: string,
  options: BulkOptions
): Stream.Stream<ItemResult<object>, StreamError> => {
  switch (resource) {
    case "contexts":
      return client.contexts.bulkCreateStream(project, Items.read(path, Models.ContextCreate), options)
    case "golden-examples":
      return client.goldenExamples.bulkCreateStream(project, Items.read(path, Models.GoldenExampleCreate), options)
    case "schema-metadata":
      return client.schemaMetadata.bulkCreateStream(project, Items.read(path, Models.SchemaMetadataCreate), options)
  }
}

/**
 * Lets what is in flight end where the command is interrupted, instead of leaving it in the air. A second interruption
 * ends the process at once.
 */
const endingWell = <A, E, R>(
  work: (signal: AbortSignal) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const controller = new AbortController()
    let interruptions = 0
    const onInterrupt = (): void => {
      if (++interruptions > 1) process.exit(130)
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on("SIGINT", onInterrupt)),
      () => Effect.sync(() => process.off("SIGINT", onInterrupt))
    )
    const fiber = yield* Effect.forkChild(work(controller.signal))
    return yield* Effect.onInterrupt(Fiber.join(fiber), () => {
      controller.abort()
      return Fiber.await(fiber)
    })
  })

/** Where each result is written as a line of JSON; nowhere if there is no path. */
const resultsFile = (
  path: Option.Option<string>
): Effect.Effect<(result: ItemResult<object>) => void, CommandError, Scope.Scope> =>
  Option.match(path, {
    onNone: () => Effect.succeed(() => undefined),
    onSome: (file) =>
      Effect.acquireRelease(
        Effect.try({
          try: () => openSync(file, "w"),
          catch: (cause) => new CommandError({ message: `Cannot write ${file}: ${String(cause)}`, exitCode: 2 })
        }),
        (descriptor) => Effect.sync(() => closeSync(descriptor))
      ).pipe(
        Effect.map((descriptor) => ({ error, ...result }: ItemResult<object>) => {
          writeSync(descriptor, `${JSON.stringify({ ...result, error: error?.message })}\n`)
        })
      )
  })

export const bulkCreate = Command.make(
  "bulk-create",
  {
    ...connection,
    resource: Argument.Literals("resource", resources),
    file: Argument.String("items.jsonl").pipe(Argument.withDescription("One item a line, as JSON")),
    project: Flag.String("project").pipe(Flag.withDescription("The project that the items belong to")),
    maxConcurrent: Flag.Int("max-concurrent").pipe(Flag.withDescription("Items in flight"), Flag.withDefault(8)),
    sharedPool: Flag.Boolean("shared-pool").pipe(
      Flag.withDescription("Share connections instead of a fresh one for each item"),
      Flag.withDefault(false)
    ),
    stop: Flag.Boolean("stop-on-failure").pipe(
      Flag.withDescription("Send nothing more once an item has failed"),
      Flag.withDefault(false)
    ),
    resume: Flag.Boolean("resume").pipe(
      Flag.withDescription("Go on from items.jsonl.checkpoint, and write it"),
      Flag.withDefault(false)
    ),
    results: Flag.String("results").pipe(
      Flag.withDescription("File for what became of each item, one a line as JSON"),
      Flag.optional
    )
  },
  Effect.fn("t2e.bulk-create")(function* (flags) {
    const total = yield* Items.check(flags.file, schemas[flags.resource])
    const client = yield* Client.make(clientOptions(flags))
    const write = yield* resultsFile(flags.results)
    const counts = { created: 0, restored: 0, failed: 0, notAttempted: 0 }
    const started = performance.now()
    const bar = ProgressBar.make(total, process.stderr, () => performance.now())

    const summary = Effect.suspend(() => {
      bar.end()
      const seconds = (performance.now() - started) / 1000
      const sent = counts.created + counts.restored + counts.failed
      const rate = seconds > 0 ? (counts.created / seconds).toFixed(1) : "0"
      return Console.log(
        `${counts.created} created, ${counts.restored} restored, ${counts.failed} failed, ${total - sent} not attempted in ${seconds.toFixed(1)} s (${rate} items/s)`
      )
    })

    yield* endingWell((signal) =>
      createStream(client, flags.resource, flags.project, flags.file, {
        maxWorkers: flags.maxConcurrent,
        maxConcurrent: flags.maxConcurrent,
        useConnectionIsolation: !flags.sharedPool,
        onFailure: flags.stop ? "stop" : "continue",
        checkpoint: flags.resume ? `${flags.file}.checkpoint` : undefined,
        onProgress: bar.update,
        signal
      }).pipe(
        Stream.runForEach((result) =>
          Effect.sync(() => {
            counts[result.status]++
            write(result)
            if (result.error !== undefined) bar.note(`item ${result.index}: ${result.error.message}`)
          })
        ),
        Effect.ensuring(summary)
      )
    )
    if (counts.created + counts.restored < total) {
      return yield* new CommandError({ message: "Not every item was created", exitCode: 1 })
    }
  }, Effect.scoped)
).pipe(Command.withDescription("Create every item of a file, and account for each"))
