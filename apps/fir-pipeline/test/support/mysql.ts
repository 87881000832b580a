// A MariaDB or MySQL server of the tests' own: on a free port, with its data in a
// folder that is gone afterwards.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import { delimiter, join } from "node:path"
import { createConnection } from "mysql2"
import { temporaryFolder } from "./server.ts"

const find = (name: string): string | undefined =>
  [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"]
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))

const server = find("mariadbd")
const installer = find("mariadb-install-db")

/** Why there is none, if there is none. */
export const absent: string | undefined =
  server === undefined || installer === undefined ? "mariadbd is not installed" : undefined

export interface Mysql {
  readonly port: number
  readonly user: string
  readonly password: string
  /** The settings by which the app reaches a database of this name, which is made. */
  database(name: string): Promise<Readonly<Record<string, string>>>
  /** Kills the server, as if the machine had lost its power. */
  kill(): Promise<void>
  /** Starts it again, on the same port and data. */
  start(): Promise<void>
  remove(): Promise<void>
}

export const freePort = async (): Promise<number> => {
  const holder = createServer()
  holder.listen(0, "127.0.0.1")
  await once(holder, "listening")
  const address = holder.address()
  await new Promise((resolve) => holder.close(resolve))
  if (address === null || typeof address === "string") throw new Error("No port is free")
  return address.port
}

const USER = "fir"
const PASSWORD = "of-the-tests-alone"

const query = (port: number, user: string, password: string, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const connection = createConnection({ host: "127.0.0.1", port, user, password })
    connection.query(text, (error) => {
      connection.destroy()
      if (error === null) resolve()
      else reject(error)
    })
  })

export const startMysql = async (): Promise<Mysql> => {
  const folder = temporaryFolder()
  const data = join(folder.path, "data")
  const made = spawnSync(
    installer ?? "",
    ["--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=normal", "--skip-test-db"],
    { encoding: "utf8" }
  )
  if (made.status !== 0) throw new Error(`mariadb-install-db ended with code ${made.status}: ${made.stderr}`)
  const port = await freePort()
  let child: ChildProcess | undefined
  let ended: Promise<unknown> | undefined

  const start = async (): Promise<void> => {
    const started = spawn(
      server ?? "",
      [
        "--no-defaults",
        `--datadir=${data}`,
        `--port=${port}`,
        "--bind-address=127.0.0.1",
        `--socket=${join(folder.path, "socket")}`,
        `--pid-file=${join(folder.path, "pid")}`,
        `--user=${process.getuid?.() === 0 ? "root" : (process.env["USER"] ?? "")}`,
        "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=16M"
      ],
      { stdio: ["ignore", "ignore", "pipe"] }
    )
    child = started
    ended = new Promise((resolve) => started.once("exit", resolve))
    let log = ""
    await new Promise<void>((resolve, reject) => {
      started.stderr.on("data", (chunk) => {
        log += chunk
        if (/ready for connections/.test(log)) resolve()
      })
      started.once("exit", (code) => reject(new Error(`mariadbd ended with code ${code}: ${log}`)))
    })
  }

  const kill = async (): Promise<void> => {
    child?.kill("SIGKILL")
    await ended
  }

  await start()
  await query(port, "root", "", `create user '${USER}'@'%' identified by '${PASSWORD}'`)
  await query(port, "root", "", `grant all on *.* to '${USER}'@'%'`)
  return {
    port,
    user: USER,
    password: PASSWORD,
    database: async (name) => {
      await query(port, USER, PASSWORD, `create database ${name}`)
      return {
        MYSQL_HOST: "127.0.0.1",
        MYSQL_PORT: String(port),
        MYSQL_USER: USER,
        MYSQL_PASSWORD: PASSWORD,
        MYSQL_DB: name
      }
    },
    kill,
    start,
    remove: async () => {
      await kill()
      folder.remove()
    }
  }
}
