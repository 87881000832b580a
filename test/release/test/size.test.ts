// What importing an entry of a package costs a bundle, without effect and without
// the transport. A caller that imports one module of it pays less. What a package
// loads only when it is asked for is counted by itself, under the same budget.

import { globSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { gzipSync } from "node:zlib"
import { build, type Metafile } from "esbuild"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "../../..")
const budgetBytes = 12 * 1024

const entriesOf = (folder: string): ReadonlyArray<[string, string]> => {
  const { exports }: { exports: Record<string, string> } = JSON.parse(
    readFileSync(join(root, folder, "package.json"), "utf8")
  )
  return Object.entries(exports).filter(([, file]) => file.endsWith(".ts"))
}

/** The output files that come with one when it is loaded, without those that it loads later. */
const loadedWith = (output: string, metafile: Metafile, loaded: Set<string> = new Set()): Set<string> => {
  if (loaded.has(output)) return loaded
  loaded.add(output)
  for (const { external, kind, path } of metafile.outputs[output]?.imports ?? []) {
    if (kind === "import-statement" && external !== true) loadedWith(path, metafile, loaded)
  }
  return loaded
}

describe("the size of a package, minified and gzipped", () => {
  for (const folder of globSync("packages/*", { cwd: root }).sort()) {
    for (const [entry, file] of entriesOf(folder)) {
      it(`${join(basename(folder), entry)} is within ${budgetBytes / 1024} kB`, async () => {
        const { metafile, outputFiles } = await build({
          absWorkingDir: root,
          entryPoints: [join(root, folder, file)],
          bundle: true,
          minify: true,
          write: false,
          splitting: true,
          metafile: true,
          outdir: "bundle",
          format: "esm",
          platform: "node",
          external: [
            "effect",
            "effect/*",
            "@effect/*",
            "undici",
            "undici/*",
            "fast-check",
            "vitest",
            "redis",
            "@connectrpc/*",
            "@bufbuild/*",
            "@sluice/*",
            "node:*"
          ]
        })
        const sizes = new Map(
          outputFiles.map(({ contents, path }) => [path.slice(root.length + 1), gzipSync(contents).byteLength])
        )
        const sizeOf = (outputs: Iterable<string>): number =>
          [...outputs].reduce((sum, output) => sum + (sizes.get(output) ?? Number.NaN), 0)
        const entryOutput = Object.keys(metafile.outputs).find((output) =>
          (metafile.outputs[output]?.entryPoint ?? "").endsWith(join(folder, file))
        )
        const atOnce = loadedWith(entryOutput ?? "", metafile)
        expect(sizeOf(atOnce)).toBeLessThanOrEqual(budgetBytes)
        for (const later of sizes.keys()) {
          if (atOnce.has(later)) continue
          const more = [...loadedWith(later, metafile)].filter((output) => !atOnce.has(output))
          expect(sizeOf(more)).toBeLessThanOrEqual(budgetBytes)
        }
      })
    }
  }
})
