import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export interface Example {
  /** File and line where the example stands, for a reader of a failure. */
  readonly name: string
  readonly file: string
  /** What it says it prints, line by line; empty where it makes no claim. */
  readonly expected: ReadonlyArray<string>
  /** Whether it reads the address of a Redis from `REDIS_URL`. */
  readonly needsRedis: boolean
}

const root = join(import.meta.dirname, "../../..")
const generated = join(import.meta.dirname, "../.generated")

const documents = [
  "*.md",
  "docs/**/*.md",
  "packages/*/README.md",
  "packages/*/docs/**/*.md",
  "packages/*/src/**/*.ts",
  "apps/*/README.md"
]

/** In a docstring each line of an example starts with ` * `; in Markdown it starts with what its list indents it by. */
const unindent = (lines: ReadonlyArray<string>, prefix: string): string =>
  lines.map((line) => (line.startsWith(prefix) ? line.slice(prefix.length) : line.trimStart())).join("\n")

const fenced = (text: string): ReadonlyArray<{ readonly line: number; readonly code: string }> => {
  const found: Array<{ line: number; code: string }> = []
  const lines = text.split("\n")
  for (let start = 0; start < lines.length; start++) {
    const opening = /^(\s*(?:\* ?)?\s*)```ts\s*$/.exec(lines[start] ?? "")
    if (opening === null) continue
    let end = start + 1
    while (end < lines.length && !/^\s*(?:\* ?)?\s*```\s*$/.test(lines[end] ?? "")) end++
    const body = lines.slice(start + 1, end).map((line) => (/^\s*\*$/.test(line) ? "" : line))
    found.push({ line: start + 1, code: unindent(body, opening[1] ?? "") })
    start = end
  }
  return found
}

/** Writes every fenced TypeScript example of the repository to a file of its own, and lists them. */
export const collect = (): ReadonlyArray<Example> => {
  rmSync(generated, { recursive: true, force: true })
  mkdirSync(generated, { recursive: true })
  writeFileSync(
    join(generated, "tsconfig.json"),
    JSON.stringify({
      extends: "../../../tsconfig.base.json",
      compilerOptions: {
        composite: false,
        incremental: false,
        noEmit: true,
        isolatedDeclarations: false,
        noUnusedLocals: false,
        noUnusedParameters: false
      },
      include: ["*.ts"]
    })
  )
  const examples: Array<Example> = []
  for (const path of documents.flatMap((pattern) => globSync(pattern, { cwd: root })).sort()) {
    if (path.includes("node_modules") || path.endsWith("CHANGELOG.md")) continue
    for (const { line, code } of fenced(readFileSync(join(root, path), "utf8"))) {
      const file = join(generated, `${path.replaceAll(/[^A-Za-z0-9]+/g, "_")}_${line}.ts`)
      writeFileSync(file, `${code}\nexport {}\n`)
      examples.push({
        name: `${path}:${line}`,
        file,
        expected: [...code.matchAll(/\/\/ => (.*)$/gm)].map((match) => (match[1] ?? "").trim()),
        needsRedis: code.includes("REDIS_URL")
      })
    }
  }
  return examples
}

export const generatedProject: string = join(generated, "tsconfig.json")
