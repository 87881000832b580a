// Servers in processes of their own.
import { type ChildProcess, fork, spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { Effect, type Scope } from "effect"

export interface ServerProcess {
  readonly port: number
  readonly process: ChildProcess
}

/** Runs a file in a process of Node, which prints addresses when it is ready and ends with its standard input. */
const startNode = (file: string, argument: number): Effect.Effect<ReadonlyArray<string>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const child = spawn("node", [join(import.meta.dirname, file), String(argument)], {
          stdio: ["pipe", "pipe", "inherit"]
        })
        const [addresses] = await once(child.stdout, "data")
        return { process: child, addresses: String(addresses).trim().split(" ") }
      }),
      ({ process }) => kill(process)
    ),
    ({ addresses }) => addresses
  )

/**
 * Starts servers of grpc-js in one process, each on a free port; answers their addresses. Of Node on every runtime:
 * Deno's HTTP/2 aborts the process of a grpc-js server when a client that has made some hundreds of calls says goodbye
 * (`nghttp2_session.c: find_stream_on_goaway_func: Assertion`).
 */
export const startGrpcJsServers = (count: number): Effect.Effect<ReadonlyArray<string>, never, Scope.Scope> =>
  startNode("grpcJsProcess.ts", count)

/**
 * Starts a server that refuses so many streams of each connection. Of Node on every runtime: what a server of Bun sends to
 * refuse a stream is a protocol error to other runtimes' clients.
 */
export const startRefusingServer = (refusals: number): Effect.Effect<ReadonlyArray<string>, never, Scope.Scope> =>
  startNode("refusingProcess.ts", refusals)

/** Starts one on a port, or on one that is free. It ends with the scope, and with the process that has started it. */
export const startServer = (port = 0): Effect.Effect<ServerProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = fork(join(import.meta.dirname, "echoProcess.ts"), [String(port)], {
        stdio: ["ignore", "ignore", "inherit", "ipc"]
      })
      const [bound] = await once(child, "message")
      return { process: child, port: Number(bound) }
    }),
    ({ process }) => kill(process)
  )

/** Ends a process at once, and waits until it is gone. */
export const kill = (process: ChildProcess): Effect.Effect<void> =>
  Effect.promise(async () => {
    if (process.exitCode !== null || process.signalCode !== null) return
    const exit = once(process, "exit")
    process.kill("SIGKILL")
    await exit
  })
