/**
 * What the engine tells of a run, to whoever counts it.
 *
 * @module
 */

/** Why an exchange came to nothing. */
export type ErrorKind =
  | "none"
  | "connect"
  | "refused"
  | "dns"
  | "tls"
  | "reset"
  | "timeout"
  | "protocol"
  | "closed"
  | "other"

/**
 * One exchange with the system under test.
 *
 * The engine has one of these for each run and fills it anew for each exchange: whoever wants to keep something of it copies
 * it. Moments and lengths are microseconds; moments count from the beginning of the run. A phase that did not take place
 * is zero.
 */
export interface Sample {
  /** Which series it belongs to, as `Sink.series` answered. */
  series: number
  /** When it was to begin. In a closed loop, when it did. */
  scheduledAt: number
  /** When it was begun. What lies between is the tester's own lateness. */
  startedAt: number
  /** When it was over. Its latency is `endedAt - scheduledAt`. */
  endedAt: number
  /** Waiting for a connection to be free. */
  pool: number
  /** Name look-up and the connection's handshake. */
  connect: number
  tls: number
  /** From the request's last byte handed to the system until the first byte of the answer. */
  firstByte: number
  /** From the first byte of the answer to its last. */
  body: number
  /** The status of HTTP or gRPC; zero when there was no answer. */
  status: number
  /** Why it came to nothing; `none` when it was answered, whatever the answer. */
  error: ErrorKind
  /** Whether it counts as failed: no answer, or one that is not accepted. */
  failed: boolean
  bytesIn: number
  bytesOut: number
}

export interface Sink {
  /** The number of a series, by its scenario and the name of what is asked. Called before the run, and where a new name comes up. */
  readonly series: (scenario: string, name: string) => number
  readonly record: (sample: Sample) => void
  /** An iteration that was begun is over. */
  readonly iteration: (scenario: string, scheduledAt: number, endedAt: number, failed: boolean) => void
  /** An iteration could not be begun, because too many were under way. */
  readonly dropped: (scenario: string, scheduledAt: number) => void
  readonly check: (scenario: string, name: string, passed: boolean) => void
  readonly connection: (event: "opened" | "reused" | "closed") => void
  /** How long the tester's own event loop kept others waiting, and how late it sent, in a short while before `at`. */
  readonly saturation: (at: number, loopDelayMicros: number, lateMicros: number) => void
  /** How many iterations are under way. */
  readonly active: (at: number, iterations: number) => void
}

export const emptySample = (): Sample => ({
  series: 0,
  scheduledAt: 0,
  startedAt: 0,
  endedAt: 0,
  pool: 0,
  connect: 0,
  tls: 0,
  firstByte: 0,
  body: 0,
  status: 0,
  error: "none",
  failed: false,
  bytesIn: 0,
  bytesOut: 0
})
