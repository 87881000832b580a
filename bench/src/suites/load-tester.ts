// The load tester beside others: each on one core, nginx on another. What is not
// installed is left out.
import { closedLoop, sluiceReport } from "../clients/loadTesters.ts"
import type { Comparison, Suite } from "../harness.ts"
import { isInstalled, nginx } from "../servers/nginx.ts"

const seconds = 3

const closed = (peer: "autocannon" | "wrk" | "hey", connections: number, bar?: number): Comparison => ({
  name: `closed loop, ${connections} connections, all phases in histograms`,
  unit: "req/s",
  against: peer === "autocannon" ? "autocannon 9" : peer,
  ours: async () => closedLoop.sluice(await nginx(), { connections, seconds }),
  peer: async () => closedLoop[peer](await nginx(), { connections, seconds }),
  rounds: 5,
  ...(bar === undefined ? {} : { bar })
})

/** How near the rate of arrivals comes to what was planned: one that is too high counts as one that is as much too low. */
const open = (rate: number): Comparison => ({
  name: `open loop, ${rate} arrivals a second`,
  unit: "req/s",
  against: "the plan",
  ours: async () => {
    const report = await sluiceReport(await nginx(), "--rate", String(rate), "-d", `${seconds}s`)
    return rate - Math.abs(report.total.requestsPerSecond - rate)
  },
  peer: () => rate,
  rounds: 5,
  bar: 0.99
})

const suite: Suite = {
  name: "load-tester",
  comparisons: isInstalled("nginx")
    ? [
        closed("autocannon", 64, 1),
        ...(isInstalled("wrk") ? [closed("wrk", 64)] : []),
        ...(isInstalled("hey") ? [closed("hey", 64)] : []),
        open(1000),
        open(5000),
        open(20_000)
      ]
    : []
}

export default suite
