// A server to load that is started for the run, where the repository is at hand.

import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import { TestFailed } from "../TestFailed.ts"

const program = fileURLToPath(new URL("../../../sdk-bulk-client/src/main.ts", import.meta.url))
const runtimeArguments = "Deno" in globalThis ? ["run", "-A"] : []

/** Starts the Text2Everything API on a free port. It ends with the scope. */
export const startT2e: Effect.Effect<string, TestFailed, Scope.Scope> = Effect.gen(function* () {
  if (!existsSync(program)) {
    return yield* new TestFailed({ message: "Cannot start the Text2Everything API here: say where it is with --url" })
  }
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [...runtimeArguments, program, "serve", "--port", "0"], {
        stdio: ["pipe", "pipe", "inherit"],
        env: { ...process.env, EXIT_WITH_PARENT: "1" }
      })
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.stdin.end()
        child.kill()
      })
  )
  return yield* Effect.callback<string, TestFailed>((resume) => {
    let said = ""
    child.stdout.on("data", (chunk) => {
      said += String(chunk)
      const url = /listening on (http:\S+)/.exec(said)?.[1]
      if (url !== undefined) resume(Effect.succeed(url))
    })
    child.once("error", (error) =>
      resume(Effect.fail(new TestFailed({ message: `Cannot start ${program}: ${error.message}` })))
    )
    child.once("exit", (code) =>
      resume(Effect.fail(new TestFailed({ message: `Cannot start ${program}: it ended with ${code}` })))
    )
  })
})
