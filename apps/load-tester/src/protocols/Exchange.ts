/**
 * What every protocol is to the engine.
 *
 * @module
 */
import { ErrorKind, type Recorder } from "../results/Recorder.ts"

/**
 * One exchange with the system under test.
 *
 * There is one of these for each run, filled anew for each exchange: whoever wants to keep something of it copies it. Moments
 * and lengths are microseconds; moments count from the beginning of the run. A phase that did not take place is negative.
 */
export interface Sample {
  /** The recorder's number of the step. */
  step: number
  /** When it was to begin; in a closed loop, when it did. */
  scheduledAt: number
  /** When it was begun. What lies between is the tester's own lateness. */
  startedAt: number
  /** When it was over. Its latency is `endedAt - scheduledAt`. */
  endedAt: number
  /** Waiting for a connection to be free. */
  poolWait: number
  /** Name look-up and the connection's handshake. */
  connect: number
  tls: number
  /** From the request handed to the system until the first byte of the answer. */
  firstByte: number
  /** From the first byte of the answer to its last. */
  body: number
  /** The status of HTTP, or the code of gRPC; zero when there was no answer. */
  status: number
  /** The recorder's number of what went wrong. */
  error: number
  bytesIn: number
  bytesOut: number
}

export const emptySample = (): Sample => ({
  step: 0,
  scheduledAt: 0,
  startedAt: 0,
  endedAt: 0,
  poolWait: -1,
  connect: -1,
  tls: -1,
  firstByte: -1,
  body: -1,
  status: 0,
  error: ErrorKind.none,
  bytesIn: 0,
  bytesOut: 0
})

/** Puts a sample on record. */
export const record = (recorder: Recorder, sample: Sample): void => {
  const { bytesIn, bytesOut, endedAt, error, scheduledAt, startedAt, status, step } = sample
  recorder.request(step, scheduledAt, startedAt, endedAt, status, error, bytesOut, bytesIn)
  recorder.phases(step, sample.poolWait, sample.connect, sample.tls, sample.firstByte, sample.body)
}

/** What an exchange needs of its run. One for all exchanges of a thread. */
export interface RunContext {
  readonly recorder: Recorder
  /** Microseconds since the run began. */
  readonly now: () => number
  /** Filled anew for each exchange. */
  readonly sample: Sample
}

/** An answer that was kept. */
export interface Answer {
  readonly status: number
  /** Names are in lower case; fields that came several times are joined by commas. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array
}

/** Who waits for an exchange. */
export interface Receiver {
  /** Whether the answer's head and body are wanted; without it they are only counted. */
  readonly keepsAnswer: boolean
  /** Whether the exchange is recorded. Set-up and tear-down are not. */
  readonly counts: boolean
  /** Called once. The sample is the run's own and holds until the next exchange. */
  readonly ended: (sample: Sample, answer: Answer | undefined) => void
}

/** An exchange under way, for protocols that can afford an object for each. */
export class Pending {
  readonly receiver: Receiver
  readonly scheduledAt: number
  readonly startedAt: number
  private readonly context: RunContext
  private readonly step: number
  private isOver = false
  poolWait = -1
  connect = -1
  tls = -1
  /** When it was handed to the connection; undefined while it waits for one. */
  sentAt: number | undefined
  firstByteAt: number | undefined
  bytesIn = 0
  bytesOut = 0

  constructor(context: RunContext, step: number, scheduledAt: number, receiver: Receiver) {
    this.context = context
    this.step = step
    this.scheduledAt = scheduledAt
    this.receiver = receiver
    this.startedAt = context.now()
  }

  sent(): void {
    this.sentAt = this.context.now()
    this.poolWait = Math.max(0, this.sentAt - this.startedAt - Math.max(0, this.connect) - Math.max(0, this.tls))
  }

  received(bytes: number): void {
    this.bytesIn += bytes
    this.firstByteAt ??= this.context.now()
  }

  /** Puts it on record and tells its receiver; only the first call counts. */
  settle(status: number, error: number, answer?: Answer): void {
    if (this.isOver) return
    this.isOver = true
    const { recorder, sample } = this.context
    const now = this.context.now()
    const { firstByteAt, receiver, sentAt } = this
    sample.step = this.step
    sample.scheduledAt = this.scheduledAt
    sample.startedAt = this.startedAt
    sample.endedAt = now
    sample.poolWait = this.poolWait
    sample.connect = this.connect
    sample.tls = this.tls
    sample.firstByte = firstByteAt === undefined || sentAt === undefined ? -1 : firstByteAt - sentAt
    sample.body = firstByteAt === undefined ? -1 : now - firstByteAt
    sample.status = status
    sample.error = error
    sample.bytesIn = this.bytesIn
    sample.bytesOut = this.bytesOut
    if (receiver.counts) record(recorder, sample)
    receiver.ended(sample, answer)
  }
}

/** What is asked. */
export interface RequestSpec {
  readonly method: string
  readonly url: URL
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: Uint8Array | undefined
}

export interface ConnectionOptions {
  /** Connections to an origin at most. */
  readonly connections: number
  readonly keepAlive: boolean
  readonly timeoutMicros: number
  readonly connectTimeoutMicros: number
  /** Whether certificates are taken as they are. */
  readonly insecure: boolean
  /** Whether an answer of that status is what was asked for. */
  readonly isExpected: (status: number) => boolean
}

export interface Protocol<Request> {
  /** Turns a request into what is sent, once, so that sending it many times costs nothing more. */
  readonly prepare: (request: RequestSpec, step: number) => Request
  readonly send: (request: Request, scheduledAt: number, receiver: Receiver) => void
  /** Ends all connections; what is under way ends as `cancelled`. */
  readonly close: () => void
}

/** The kind of error that an answer of that status is. */
export const errorOfStatus = (status: number, isExpected: (status: number) => boolean): number =>
  isExpected(status)
    ? ErrorKind.none
    : status >= 500
      ? ErrorKind.status_5xx
      : status >= 400
        ? ErrorKind.status_4xx
        : ErrorKind.other

const kinds: Readonly<Record<string, number>> = {
  ECONNREFUSED: ErrorKind.refused,
  ConnectionRefused: ErrorKind.refused,
  ECONNRESET: ErrorKind.reset,
  EPIPE: ErrorKind.reset,
  ECONNABORTED: ErrorKind.reset,
  ENOTFOUND: ErrorKind.dns,
  EAI_AGAIN: ErrorKind.dns,
  ETIMEDOUT: ErrorKind.timeout
}

/** The kind of an error of a socket. */
export const kindOf = (error: unknown): number => {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : ""
  if (code.startsWith("ERR_TLS") || code.startsWith("ERR_SSL") || /CERT|SELF_SIGNED|ISSUER/.test(code)) {
    return ErrorKind.tls
  }
  return kinds[code] ?? ErrorKind.other
}
