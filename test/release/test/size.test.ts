// What importing a whole package costs a bundle, without effect and without the
// transport. A caller that imports one module of it pays less.

import { globSync } from "node:fs"
import { basename, join } from "node:path"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "../../..")
const budgetBytes = 12 * 1024

describe("the size of a package, minified and gzipped", () => {
  for (const folder of globSync("packages/*", { cwd: root }).sort()) {
    it(`${basename(folder)} is within ${budgetBytes / 1024} kB`, async () => {
      const bundle = await build({
        entryPoints: [join(root, folder, "src/index.ts")],
        bundle: true,
        minify: true,
        write: false,
        format: "esm",
        platform: "node",
        external: ["effect", "effect/*", "undici", "undici/*", "fast-check", "@sluice/*", "node:*"]
      })
      const size = bundle.outputFiles.reduce((sum, file) => sum + gzipSync(file.contents).byteLength, 0)
      expect(size).toBeLessThanOrEqual(budgetBytes)
    })
  }
})
