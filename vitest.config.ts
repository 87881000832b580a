import { defineConfig, type ViteUserConfig } from "vitest/config"

const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"

/** Every package's suite runs with this, on each of the three runtimes. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Turbo runs suites side by side; a suite that also fanned out would oversubscribe two cores.
    maxWorkers: 1,
    testTimeout: 30_000,
    reporters: [
      ["default", { summary: false }],
      ["json", { outputFile: `.reports/${runtime}.json` }]
    ]
  }
})

export default config
