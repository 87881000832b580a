// What a page pays for the entries that say they run in browsers: all of it, Effect
// included, for what is imported and no more.

import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"
import { describe, expect, it } from "vitest"

const bundle = async (source: string): Promise<string> => {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: join(import.meta.dirname, "..") },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser"
  })
  return outputFiles.map(({ text }) => text).join("\n")
}

const claims: ReadonlyArray<readonly [source: string, kilobytes: number]> = [
  [`export { createSemaphore } from "@sluice/promise"`, 2.2],
  [`export { createSemaphore, map } from "@sluice/promise/semaphore"`, 3],
  [`export * from "@sluice/promise/semaphore"`, 12],
  [`export { createRateLimiter } from "@sluice/promise"`, 20],
  [`export { retry, hedge } from "@sluice/promise"`, 21],
  [`export * from "@sluice/promise"`, 70]
]

describe("a bundle for browsers", () => {
  it.each(claims)("of %s loads nothing of Node and is within %d kB", async (source, kilobytes) => {
    const code = await bundle(source)
    expect(code).not.toMatch(/(?:from|import\()\s*"node:/)
    expect(gzipSync(code).byteLength).toBeLessThanOrEqual(kilobytes * 1024)
  })

  it("does what it should where there is nothing of Node", async () => {
    const code = await bundle(`
      import { createRateLimiter, createSemaphore, map, retry } from "@sluice/promise"
      const results = []
      for await (const n of map([1, 2, 3], (n) => n * 2, { concurrency: 2 })) results.push(n)
      const semaphore = createSemaphore(1)
      results.push(await semaphore.run(() => "run"))
      results.push(createRateLimiter({ limit: 1, interval: 1000 }).tryTake().allowed)
      results.push(await retry(({ attempt }) => attempt))
      export default results
    `)
    const { default: results } = await import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`)
    expect(results).toEqual([2, 4, 6, "run", true, 1])
  })
})
