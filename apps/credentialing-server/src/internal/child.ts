// The bundled registry service as a child process: started with a free port, started again
// on the same port when it dies, and gone when the server goes, in whatever way.
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Data, Deferred, Effect, Schedule } from "effect"

export class ChildFailed extends Data.TaggedError("ChildFailed")<{ readonly reason: string }> {
  override get message(): string {
    return `Cannot start the registry service: ${this.reason}`
  }
}

const main = fileURLToPath(new URL("../main.ts", import.meta.url))
const compiled = fileURLToPath(new URL("../main.js", import.meta.url))
const entry = import.meta.url.endsWith(".ts") ? main : compiled
const runtimeArguments = "Deno" in globalThis ? ["run", "-A"] : []

const launch = (port: number, environment: Readonly<Record<string, string>>): ChildProcess =>
  spawn(process.execPath, [...runtimeArguments, entry, "registry-server"], {
    // The child ends when this pipe does, and a pipe ends even after a kill -9.
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...environment, PORT: String(port), HOST: "127.0.0.1", EXIT_WITH_PARENT: "1" }
  })

const listening = (child: ChildProcess) =>
  Effect.callback<string, ChildFailed>((resume) => {
    let output = ""
    child.stdout?.setEncoding("utf8")
    child.stdout?.on("data", (chunk: string) => {
      output += chunk
      const url = /^listening on (\S+)$/m.exec(output)?.[1]
      if (url !== undefined) resume(Effect.succeed(url))
    })
    child.once("error", ({ message }) => resume(Effect.fail(new ChildFailed({ reason: message }))))
    child.once("exit", (code, signal) =>
      resume(Effect.fail(new ChildFailed({ reason: `it ended with ${signal ?? `code ${code}`}` })))
    )
  })

const ended = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

const stop = (child: ChildProcess) =>
  Effect.suspend(() => {
    child.stdin?.end()
    child.kill("SIGTERM")
    return Effect.timeoutOrElse(ended(child), {
      duration: "5 seconds",
      orElse: () => Effect.sync(() => void child.kill("SIGKILL"))
    })
  })

/** Starts the embedded registry service and keeps it running; gives the URL that it listens on. */
export const registryServer = Effect.fnUntraced(function* (environment: Readonly<Record<string, string>>) {
  const ready = yield* Deferred.make<string, ChildFailed>()
  let port = 0
  const run = Effect.acquireUseRelease(
    Effect.sync(() => launch(port, environment)),
    (child) =>
      Effect.gen(function* () {
        const url = yield* listening(child)
        port = Number(new URL(url).port)
        yield* Deferred.succeed(ready, url)
        yield* ended(child)
        yield* Effect.logWarning("The registry service ended; it is started again")
        return yield* new ChildFailed({ reason: "it ended" })
      }),
    stop
  )
  yield* Effect.tapError(run, (error) => Deferred.fail(ready, error)).pipe(
    Effect.retry(Schedule.spaced("500 millis")),
    Effect.forkScoped
  )
  return yield* Deferred.await(ready)
})
