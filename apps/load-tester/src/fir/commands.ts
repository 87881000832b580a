// `sluice-load fir` and `sluice-load perf`.

import { HttpPool } from "@sluice/http-pool"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { save, TestFailed } from "../TestFailed.ts"
import * as Complaints from "./Complaints.ts"
import * as Concurrency from "./Concurrency.ts"
import * as Session from "./Session.ts"
import * as Text from "./Text.ts"

const url = Flag.String("url").pipe(
  Flag.withDescription("Where the FIR server is"),
  Flag.withDefault("http://127.0.0.1:8000"),
  Flag.map((address) => address.replace(/\/+$/, ""))
)
const apiKey = Flag.String("api-key").pipe(Flag.withDescription("Sent as X-API-Key"), Flag.optional)
const timeout = Flag.Finite("timeout").pipe(
  Flag.withDescription("Seconds that one report may take"),
  Flag.withDefault(60),
  Flag.filter(
    (seconds) => seconds > 0,
    (seconds) => `--timeout ${seconds}: a number of seconds above 0 is needed`
  )
)
const count = (name: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withDescription(description),
    Flag.filter(
      (value) => value >= 1 && value <= 10_000,
      (value) => `--${name} ${value}: a whole number from 1 to 10000 is needed`
    )
  )
const complaintsFile = Flag.String("complaints").pipe(
  Flag.withDescription("JSON lines of {id, language, text, expect}; default a few that are built in"),
  Flag.optional
)
const out = (file: string) =>
  Flag.String("out").pipe(Flag.withDescription("File for the results"), Flag.withDefault(file))

/** A pool wide enough that the tester itself never makes a request wait. */
const pool = (connections: number) =>
  HttpPool.layer({ maxConnections: connections, maxKeepAliveConnections: connections, readTimeout: "10 minutes" })

const makeTarget = (address: string, key: Option.Option<string>) =>
  Effect.map(
    HttpPool.HttpPool,
    ({ client }): Session.Target => ({ client, url: address, apiKey: Option.getOrUndefined(key) })
  )

export const fir = Command.make(
  "fir",
  {
    url,
    apiKey,
    timeout,
    complaints: complaintsFile,
    requests: count("requests", "Reports in all").pipe(Flag.withDefault(10)),
    concurrency: count("concurrency", "Reports at once; default all").pipe(Flag.optional),
    out: out("concurrency_test_results.json")
  },
  Effect.fn("sluice-load.fir")(function* (flags) {
    const concurrency = Option.getOrElse(flags.concurrency, () => flags.requests)
    const complaints = Option.isSome(flags.complaints)
      ? yield* Complaints.load(flags.complaints.value)
      : Complaints.builtIn(flags.requests)
    yield* Effect.gen(function* () {
      const target = yield* makeTarget(flags.url, flags.apiKey)
      yield* Console.log(`${Text.heading(`Concurrent Load Test - ${flags.requests} Requests`)}\n`)
      yield* Console.log(`${Text.health(yield* Session.health(target))}\n`)
      yield* Console.log(
        concurrency < flags.requests
          ? `Starting ${flags.requests} FIR generation requests, ${concurrency} concurrent...\n`
          : `Starting ${flags.requests} concurrent FIR generation requests...\n`
      )
      const run = Concurrency.prepare(
        target,
        { complaints, requests: flags.requests, concurrency, timeoutSeconds: flags.timeout },
        (detail) => Console.log(Text.finished(detail))
      )
      const conclude = (interrupted: boolean) =>
        Effect.gen(function* () {
          const results = run.results(interrupted)
          yield* Console.log(`\n${Text.summary(results)}\n`)
          yield* save(flags.out, results)
          yield* Console.log(`📊 Results saved to ${flags.out}`)
          return results
        })
      yield* Effect.onInterrupt(run.all, () => Effect.ignore(conclude(true)))
      const results = yield* conclude(false)
      if (results.failed > 0) {
        return yield* new TestFailed({ message: `${results.failed} of ${results.num_requests} reports failed` })
      }
    }).pipe(Effect.provide(pool(concurrency + 1)))
  })
).pipe(
  Command.withDescription("Generate many FIRs at once, and check that each is complete and right"),
  Command.withExamples([
    { command: "sluice-load fir --url http://127.0.0.1:8000 --requests 10", description: "Ten reports at once" }
  ])
)

export const perf = Command.make(
  "perf",
  {
    url,
    apiKey,
    timeout,
    complaints: complaintsFile,
    target: Flag.Finite("target").pipe(Flag.withDescription("Seconds to stay under"), Flag.withDefault(30)),
    out: out("performance_test_results.json")
  },
  Effect.fn("sluice-load.perf")(function* (flags) {
    const [complaint] = Option.isSome(flags.complaints)
      ? yield* Complaints.load(flags.complaints.value)
      : Complaints.builtIn(1)
    if (complaint === undefined) return yield* new TestFailed({ message: "Cannot test without a complaint" })
    yield* Effect.gen(function* () {
      const target = yield* makeTarget(flags.url, flags.apiKey)
      yield* Console.log(`${Text.heading("FIR Generation Performance Test")}\n`)
      yield* Console.log("1. Checking service health...")
      yield* Console.log(`${Text.briefHealth(yield* Session.health(target))}\n`)
      const record = Session.journal()
      const start = performance.now()
      const outcome = yield* Effect.result(
        Session.run(target, complaint, record, {
          begins: (step) => Console.log(Text.stepBegins(step)),
          ended: (step, took) => Console.log(Text.stepEnded(step, took))
        }).pipe(Effect.timeout(`${flags.timeout} seconds`))
      )
      const breakdown: Text.Breakdown = {
        total: (performance.now() - start) / 1000,
        target: flags.target,
        steps: record.secondsByStep,
        firNumber: record.firNumber,
        error: outcome._tag === "Failure" ? outcome.failure.message : undefined
      }
      yield* Console.log(Text.breakdown(breakdown))
      yield* save(flags.out, {
        test_timestamp: new Date().toISOString(),
        backend_url: target.url,
        total_time: breakdown.total,
        target_time: breakdown.target,
        passed: Text.isPassed(breakdown),
        steps: Object.fromEntries(record.secondsByStep),
        session_id: record.sessionId ?? null,
        fir_number: record.firNumber ?? null,
        error: breakdown.error ?? null
      })
      if (!Text.isPassed(breakdown)) return yield* new TestFailed({ message: "the performance test failed" })
    }).pipe(Effect.provide(pool(2)))
  })
).pipe(Command.withDescription("Time one FIR step by step"))
