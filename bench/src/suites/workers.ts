// What it costs to be a worker: the same server as one process alone, with fifty
// connections and with more than a thousand, and the limit that workers share beside
// one that each has for itself.

import { join } from "node:path"
import type { Comparison, Suite } from "../harness.ts"
import { isThere, measure, startNode } from "../servers/start.ts"

const servers = join(import.meta.dirname, "../servers")
const hasWrk = isThere("wrk", "-v")
if (!hasWrk) console.error("workers: wrk is not installed; there is nothing to measure with")

const alone = (): Promise<number> => startNode(join(servers, "admitted.ts"))
const workers =
  (...args: ReadonlyArray<string>) =>
  (): Promise<number> =>
    startNode(join(servers, "workers.ts"), ...args)

const unit = "req/s"
const few = 50
const many = 1500

const comparisons: ReadonlyArray<Comparison> = [
  {
    name: `one worker, ${few} connections`,
    unit,
    against: "one process alone",
    ours: measure("apart", workers("--apart"), few),
    peer: measure("alone", alone, few),
    rounds: 5
  },
  {
    name: `one worker, ${many} connections`,
    unit,
    against: `the same, ${few} connections`,
    ours: measure("apart", workers("--apart"), many),
    peer: measure("apart", workers("--apart"), few),
    rounds: 5
  },
  {
    name: "two workers with a limit that they share",
    unit,
    against: "a limit for each",
    ours: measure("two", workers("--workers", "2"), few),
    peer: measure("two apart", workers("--workers", "2", "--apart"), few),
    rounds: 5
  }
]

const suite: Suite = { name: "workers", comparisons: hasWrk ? comparisons : [] }

export default suite
