/**
 * Where a result goes: files by their kind, and systems that keep metrics.
 *
 * @module
 */
import { extname } from "node:path"
import { Data, Effect, type Scope } from "effect"
import * as Html from "../report/Html.ts"
import * as Codec from "../results/Codec.ts"
import type * as Result from "../results/Result.ts"
import type * as Threshold from "../thresholds/Threshold.ts"
import * as Exporters from "./Exporters.ts"
import { type UnwritableOutput, writable, write as writeFile } from "./Files.ts"
import * as Json from "./Json.ts"
import * as Junit from "./Junit.ts"
import * as Metrics from "./Metrics.ts"
import * as Summary from "./Summary.ts"

/** What is not an output. */
export class BadOutput extends Data.TaggedError("@sluice/load-tester/BadOutput")<{ readonly message: string }> {}

type Render = (result: Result.Result, verdicts: ReadonlyArray<Threshold.Verdict>) => string | Uint8Array

/** The kinds of files, by name. */
const renders: Readonly<Record<string, Render>> = {
  slr: (result) => Codec.encode(result),
  text: (result, verdicts) => `${Summary.text(result, verdicts)}\n`,
  json: Json.text,
  csv: (result) => Json.csv(result),
  junit: Junit.text,
  html: Html.html,
  prom: (result) => Metrics.text(result)
}

const kindsByEnding: Readonly<Record<string, string>> = {
  ".slr": "slr",
  ".txt": "text",
  ".json": "json",
  ".csv": "csv",
  ".xml": "junit",
  ".html": "html",
  ".prom": "prom"
}

const exporters = ["prometheus", "remote-write", "otlp"] as const
type ExporterKind = (typeof exporters)[number]

export type Output =
  | { readonly kind: "file"; readonly format: string; readonly path: string }
  | { readonly kind: ExporterKind; readonly to: string }

const isExporter = (kind: string): kind is ExporterKind => exporters.some((name) => name === kind)

export const kinds: ReadonlyArray<string> = [...Object.keys(renders), ...exporters]

/** `json=run.json`, or a file whose ending tells its kind, or `otlp=http://…/v1/metrics`. */
export const parse = (text: string): Effect.Effect<Output, BadOutput> => {
  const at = text.indexOf("=")
  const kind = at < 0 ? undefined : text.slice(0, at)
  const to = text.slice(at + 1)
  const format = kind ?? kindsByEnding[extname(to)]
  if (format !== undefined && to !== "") {
    if (isExporter(format)) return Effect.succeed({ kind: format, to })
    if (renders[format] !== undefined) return Effect.succeed({ kind: "file", format, path: to })
  }
  return Effect.fail(
    new BadOutput({
      message: `Cannot write to ${text}: a kind and a place are needed, as json=run.json. Kinds are ${kinds.join(", ")}`
    })
  )
}

/** A file's content, by its kind. */
export const render = (
  format: string,
  result: Result.Result,
  verdicts: ReadonlyArray<Threshold.Verdict>
): string | Uint8Array => (renders[format] ?? Json.text)(result, verdicts)

/** Begins what tells of a run while it goes on, until the scope closes. Answers what to say of it. */
export const open = (
  outputs: ReadonlyArray<Output>,
  read: () => Result.Result
): Effect.Effect<ReadonlyArray<string>, Exporters.ExportFailed, Scope.Scope> =>
  Effect.map(
    Effect.forEach(outputs, (output) => {
      if (output.kind === "prometheus") {
        return Exporters.parseAddress(output.to).pipe(
          Effect.flatMap((address) => Exporters.scrape(address, read)),
          Effect.map((url) => [`Metrics at ${url}`])
        )
      }
      return output.kind === "otlp" ? Effect.as(Exporters.otlp(output.to, read), []) : Effect.succeed([])
    }),
    (said) => said.flat()
  )

/** Whether files can be made where they should be, asked before a run that may take hours. */
export const check = (outputs: ReadonlyArray<Output>): Effect.Effect<void, UnwritableOutput> =>
  Effect.forEach(outputs, (output) => (output.kind === "file" ? writable(output.path) : Effect.void), { discard: true })

const writeOne = (
  output: Output,
  result: Result.Result,
  verdicts: ReadonlyArray<Threshold.Verdict>
): Effect.Effect<void, UnwritableOutput | Exporters.ExportFailed> => {
  if (output.kind === "file") return writeFile(output.path, render(output.format, result, verdicts))
  return output.kind === "remote-write" ? Exporters.remoteWrite(output.to, result) : Effect.void
}

/**
 * Writes a result that is whole to every file, and to what takes it at once. Where one fails the others are written all the
 * same, and the first failure is told.
 */
export const write = Effect.fnUntraced(function* (
  outputs: ReadonlyArray<Output>,
  result: Result.Result,
  verdicts: ReadonlyArray<Threshold.Verdict>
) {
  const exits = yield* Effect.forEach(outputs, (output) => Effect.exit(writeOne(output, result, verdicts)))
  for (const exit of exits) yield* exit
})
