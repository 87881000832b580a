/**
 * Whether the tester itself was the limit: what it measures then is itself.
 *
 * @module
 */
import * as Histogram from "./Histogram.ts"
import * as Result from "./Result.ts"

/** What was wrong with the client, in a sentence each, the gravest first; none where it had room. */
export interface Warning {
  readonly kind: "loop" | "late" | "dropped" | "pool"
  readonly message: string
}

const loopDelayLimit = 20_000
const lateShareLimit = 0.01
const poolShareLimit = 0.1

const percent = (part: number): string => `${(part * 100).toFixed(1)} %`
const millis = (micros: number): string => `${(micros / 1000).toFixed(1)} ms`

export const warnings = (result: Result.Result): ReadonlyArray<Warning> => {
  const found: Array<Warning> = []
  const { late, loopDelay, sendDelay } = result.client
  const delay = Histogram.quantile(loopDelay, 0.99)
  if (delay > loopDelayLimit) {
    found.push({
      kind: "loop",
      message: `The tester was busy: one in a hundred turns of its event loop came ${millis(delay)} late. Latencies hold that delay; use more threads or machines`
    })
  }
  if (late > sendDelay.count * lateShareLimit) {
    found.push({
      kind: "late",
      message: `${percent(late / sendDelay.count)} of the sends were more than 1 ms late (p99 ${millis(Histogram.quantile(sendDelay, 0.99))}). Latencies count from the planned time, and hold it`
    })
  }
  const dropped = result.scenarios.reduce((sum, scenario) => sum + scenario.dropped, 0)
  const begun = result.scenarios.reduce((sum, scenario) => sum + scenario.iterations, 0)
  if (dropped > 0) {
    found.push({
      kind: "dropped",
      message: `${dropped} of ${dropped + begun} iterations were planned and not begun, since as many as may be were under way: the rate was not reached`
    })
  }
  const { latency, phases } = Result.total(result.steps)
  if (phases.poolWait.sum > latency.sum * poolShareLimit) {
    found.push({
      kind: "pool",
      message: `${percent(phases.poolWait.sum / latency.sum)} of the latency was spent on waiting for a connection of the tester`
    })
  }
  return found
}
