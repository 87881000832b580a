/**
 * A result as a document for the committee, one file each. What is in the
 * database is what counts: a file that is missing is written anew.
 *
 * @module
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Context, Data, Effect, Layer } from "effect"
import { Limits } from "./Limits.ts"
import type { Provider } from "./Provider.ts"
import type { Result } from "./Store.ts"

export class FileError extends Data.TaggedError("FileError")<{ readonly operation: string; readonly cause: unknown }> {
  override get message(): string {
    const reason = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `Cannot ${this.operation}: ${reason}`
  }
}

export interface DocumentsApi {
  write(result: Result, provider: Provider): Effect.Effect<void, FileError>
  /** The document; written first where it is missing. */
  read(result: Result, provider: Provider): Effect.Effect<string, FileError>
}

export const Documents: Context.Service<DocumentsApi, DocumentsApi> =
  Context.Service<DocumentsApi>("credentialing/Documents")

const iso = (millis: number): string => new Date(millis).toISOString()

/** The document's text, in Markdown. */
export const render = (result: Result, provider: Provider): string =>
  [
    `# ${provider.name}, ${provider.credential}`,
    "",
    `- Provider: ${provider.provider_id}, NPI ${provider.npi}`,
    `- Specialty: ${provider.specialty}, ${provider.state}`,
    `- Decision: **${result.decision}**, risk ${result.risk_score} of 100`,
    `- Decided: ${iso(result.finished_at)}, result ${result.result_id}`,
    "",
    ...result.findings.flatMap(({ check, reasons, status }) => [
      `## ${check.replace("_", " ")}: ${status}`,
      "",
      ...(reasons.length === 0 ? ["Nothing speaks against it."] : reasons.map((reason) => `- ${reason}`)),
      ""
    ])
  ].join("\n")

export const layer = (folder: string) =>
  Layer.effect(
    Documents,
    Effect.gen(function* () {
      const { files } = yield* Limits
      yield* Effect.tryPromise({
        try: () => mkdir(folder, { recursive: true }),
        catch: (cause) => new FileError({ operation: "make the folder of documents", cause })
      })
      const pathOf = ({ result_id }: Result): string => join(folder, `${result_id}.md`)
      const operation = <A>(name: string, run: () => Promise<A>): Effect.Effect<A, FileError> =>
        files.withPermit(Effect.tryPromise({ try: run, catch: (cause) => new FileError({ operation: name, cause }) }))
      const write = (result: Result, provider: Provider) =>
        operation("write the document", async () => {
          const path = pathOf(result)
          // Whole or not at all: a reader never sees a half.
          await writeFile(`${path}.new`, render(result, provider))
          await rename(`${path}.new`, path)
        })
      return {
        write,
        read: (result, provider) =>
          operation("read the document", () => readFile(pathOf(result), "utf8")).pipe(
            Effect.catch(() => Effect.as(write(result, provider), render(result, provider)))
          )
      }
    })
  )
