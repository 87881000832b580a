// A million items given as an AsyncIterable, created through the whole client on
// the local API, with the memory of the client's process as they go. The server
// is a process of its own.
//
//   node --expose-gc apps/sdk-bulk-client/docs/million.ts [items]
//   bun --expose-gc …, deno run -A --v8-flags=--expose-gc …

import "../src/deno.ts"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Text2EverythingClient } from "../src/index.ts"

const count = Number(process.argv[2] ?? 1_000_000)
const step = Math.max(1, Math.floor(count / 10))
const runtimeArguments = "Deno" in globalThis ? ["run", "-A", "--quiet"] : []
const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

const server = spawn(process.execPath, [...runtimeArguments, main, "serve", "--port", "0"], {
  env: { ...process.env, T2E_SERVER_LATENCY: "none" },
  stdio: ["ignore", "pipe", "inherit"]
})
process.on("exit", () => server.kill())
const baseUrl = await new Promise<string>((resolve) => {
  let text = ""
  server.stdout.on("data", (chunk) => {
    text += chunk
    const url = /listening on (\S+)/.exec(text)?.[1]
    if (url !== undefined) resolve(url)
  })
})

let read = 0
async function* items() {
  while (read < count) {
    read++
    yield { name: `Rule ${read}`, content: `Content of rule ${read}` }
  }
}

const megabytes = (bytes: number): string => (bytes / 1_048_576).toFixed(1)

{
  await using client = new Text2EverythingClient({ baseUrl, accessToken: "token" })
  const project = await client.projects.create({ name: "million" })
  const results = client.contexts.bulkCreateProgress(project.id, items(), {
    maxConcurrent: 16,
    useConnectionIsolation: false
  })
  const started = performance.now()
  let mostAhead = 0
  console.log("| items | heap, MB | resident, MB | most read ahead | items/s |")
  console.log("|---|---|---|---|---|")
  for await (const { created, done } of results) {
    mostAhead = Math.max(mostAhead, read - done)
    if (done % step !== 0) continue
    globalThis.gc?.()
    const { heapUsed, rss } = process.memoryUsage()
    const rate = Math.round((done * 1000) / (performance.now() - started))
    console.log(`| ${created} | ${megabytes(heapUsed)} | ${megabytes(rss)} | ${mostAhead} | ${rate} |`)
  }
}
process.exit()
