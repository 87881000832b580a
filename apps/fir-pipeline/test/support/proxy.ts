// nginx and Redis of the tests' own.
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { delimiter, join } from "node:path"
import { freePort } from "./mysql.ts"
import { temporaryFolder } from "./server.ts"

const find = (name: string): string | undefined =>
  [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"]
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))

const nginx = find("nginx")
const redis = find("redis-server")

/** Why they cannot be had, if they cannot. */
export const absent: string | undefined =
  nginx === undefined ? "nginx is not installed" : redis === undefined ? "redis-server is not installed" : undefined

export interface Running {
  readonly url: string
  stop(): Promise<void>
}

/** Resolves when something listens, which is asked and not waited for by the clock. */
const listening = async (port: number, child: ChildProcess): Promise<void> => {
  while (child.exitCode === null) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1")
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
      socket.once("connect", () => socket.destroy())
    })
    if (isOpen) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`It ended with code ${child.exitCode}`)
}

const running = async (command: string, argumentList: ReadonlyArray<string>, port: number, scheme: string) => {
  const child = spawn(command, argumentList, { stdio: ["ignore", "ignore", "inherit"] })
  const ended = new Promise((resolve) => child.once("exit", resolve))
  await listening(port, child)
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    stop: async () => {
      child.kill("SIGTERM")
      await ended
    }
  }
}

export const startRedis = async (): Promise<Running> => {
  const port = await freePort()
  const settings = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
  return running(redis ?? "", [...settings, "--loglevel", "warning"], port, "redis")
}

/** The configuration that is deployed, with other addresses. */
export const startNginx = async (upstreams: ReadonlyArray<string>): Promise<Running> => {
  const folder = temporaryFolder()
  const port = await freePort()
  let next = 0
  const configuration = readFileSync(new URL("../../deploy/nginx.conf", import.meta.url), "utf8")
    .replace(/server fir-\d:8000/g, () => `server ${upstreams[next++]}`)
    .replace("listen 8080", `listen 127.0.0.1:${port}`)
    .replaceAll("/tmp/", `${folder.path}/`)
    .replace("access_log /dev/stdout plain", "access_log off")
    .replace("error_log stderr warn", "error_log stderr crit")
    .replace("worker_processes auto", `${process.getuid?.() === 0 ? "user root;\n" : ""}worker_processes 1`)
  const file = join(folder.path, "nginx.conf")
  writeFileSync(file, configuration)
  const started = await running(nginx ?? "", ["-e", "stderr", "-c", file, "-g", "daemon off;"], port, "http")
  return {
    url: started.url,
    stop: async () => {
      await started.stop()
      folder.remove()
    }
  }
}
