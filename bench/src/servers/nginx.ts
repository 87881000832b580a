// nginx of Debian, with one worker, as a server that is faster than what loads it.

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"

export const isInstalled = (program: string, flag = "-v"): boolean => spawnSync(program, [flag]).error === undefined

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  await once(probe, "close")
  return typeof address === "object" && address !== null ? address.port : 0
}

const canPin = isInstalled("taskset", "-V") && availableParallelism() > 1
const canHurry = spawnSync("nice", ["-n", "-10", "true"]).stderr?.length === 0

/**
 * A command that runs on one core alone and before others, where the system can do that: what is measured is what a
 * machine with nothing else to do would show.
 */
export const pinned = (
  core: number,
  command: string,
  args: ReadonlyArray<string>
): readonly [string, Array<string>] => {
  const [program = command, ...rest] = [
    ...(canHurry ? ["nice", "-n", "-10"] : []),
    ...(canPin ? ["taskset", "-c", String(core)] : []),
    command,
    ...args
  ]
  return [program, rest]
}

const started: { process?: ChildProcess; url?: Promise<string> } = {}

const launch = async (): Promise<string> => {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), "sluice-nginx-"))
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`
  )
  writeFileSync(
    join(folder, "nginx.conf"),
    `worker_processes 1; daemon off; pid ${folder}/pid; error_log ${folder}/error.log crit;
     events { worker_connections 4096; }
     http { access_log off; keepalive_requests 1000000000; ${paths.join(" ")}
       server { listen 127.0.0.1:${port} backlog=4096; location / { default_type text/plain; return 200 "hello world"; } } }`
  )
  const [command, args] = pinned(1, "nginx", ["-c", join(folder, "nginx.conf"), "-e", join(folder, "start.log")])
  const child = spawn(command, args, { stdio: "ignore" })
  started.process = child
  process.once("exit", () => {
    child.kill("SIGTERM")
    rmSync(folder, { recursive: true, force: true })
  })
  child.unref()
  const url = `http://127.0.0.1:${port}/`
  for (;;) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return url
  }
}

/** Where it is; started when it is first asked for, ended with this process. */
export const nginx = (): Promise<string> => {
  started.url ??= launch()
  return started.url
}
