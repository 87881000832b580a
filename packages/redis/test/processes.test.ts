// Fifty holders in four processes, on a resource that checks fencing tokens,
// while Redis and the processes are killed, paused and started again.

import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { LeasedSemaphore } from "@sluice/redis"
import { Effect } from "effect"
import { afterEach, describe, expect, it } from "vitest"
import { onMachine } from "./machine.ts"
import { isInstalled, type RedisServer, signal, startRedis } from "./servers.ts"

const permits = 5
const leaseMillis = 500
const runtimeArgs = "Deno" in globalThis ? ["run", "-A"] : []

/** Keeps the greatest token of each slot, and refuses smaller ones. */
const makeResource = () => {
  const greatest = new Map<number, number>()
  const accepted = new Map<number, number>()
  let refused = 0
  return {
    write: (slot: number, token: number): boolean => {
      if (token < (greatest.get(slot) ?? 0)) {
        refused++
        return false
      }
      greatest.set(slot, token)
      accepted.set(slot, (accepted.get(slot) ?? 0) + 1)
      return true
    },
    slots: () => [...greatest.keys()].sort((a, b) => a - b),
    accepted: () => new Map(accepted),
    refused: () => refused
  }
}

describe.skipIf(!isInstalled)("fifty holders in four processes", { timeout: 60_000 }, () => {
  const closing: Array<() => Promise<void>> = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  const worker = (
    server: RedisServer,
    resource: ReturnType<typeof makeResource>,
    holders: number
  ): Promise<ChildProcess> => {
    const args = [join(import.meta.dirname, "worker.ts"), server.url, permits, leaseMillis, holders].map(String)
    const child = spawn(process.execPath, [...runtimeArgs, ...args], { stdio: ["pipe", "pipe", "inherit"] })
    child.stdin?.on("error", () => {})
    const lines = createInterface({ input: child.stdout ?? process.stdin })
    lines.on("line", (line) => {
      const [kind, number, slot, token] = line.split(" ")
      if (kind !== "write") return
      child.stdin?.write(`${number} ${resource.write(Number(slot), Number(token)) ? "yes" : "no"}\n`)
    })
    closing.push(
      () =>
        new Promise((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) resolve()
          else child.once("exit", () => resolve())
          signal(child, "SIGKILL")
        })
    )
    // The first line says that it is connected.
    return new Promise((resolve) => lines.once("line", () => resolve(child)))
  }

  it("no stale holder's write is accepted, and every permit is at work again after each fault", async () => {
    const server = await startRedis()
    closing.push(server.close)
    const resource = makeResource()
    const children = await Promise.all([13, 13, 12, 12].map((holders) => worker(server, resource, holders)))
    const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

    /** Every permit has been used since, more than once. */
    const allAtWork = async (): Promise<void> => {
      const before = resource.accepted()
      const isAtWork = (slot: number) => (resource.accepted().get(slot) ?? 0) > (before.get(slot) ?? 0) + 5
      while (!Array.from({ length: permits }, (_, slot) => slot).every(isAtWork)) await pause(10)
    }

    await allAtWork()
    const [first, second] = children

    // A process stands still for longer than its leases, and comes back from the dead.
    if (first !== undefined) signal(first, "SIGSTOP")
    await pause(2 * leaseMillis)
    await allAtWork()
    if (first !== undefined) signal(first, "SIGCONT")
    await allAtWork()

    await server.restart({ keepData: false })
    await allAtWork()

    server.pause()
    await pause(2 * leaseMillis)
    server.resume()
    await allAtWork()

    if (second !== undefined) signal(second, "SIGKILL")
    await allAtWork()

    // A holder beyond the permits would have had a slot beyond them.
    expect(resource.slots()).toEqual([0, 1, 2, 3, 4])
    for (const child of children) child.stdin?.end()
    const settled = onMachine(
      server.url,
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make({ name: "work", permits })
        return yield* Effect.repeat(Effect.andThen(Effect.sleep(20), semaphore.shared), {
          until: ({ held, waiting }) => held === 0 && waiting === 0
        })
      })
    )
    expect(await settled).toMatchObject({ capacity: permits, held: 0, waiting: 0 })
  })
})
