/**
 * What a response tells about limits.
 *
 * @module
 */
import type * as Duration from "effect/Duration"

/** Header fields: an object by name, or a web `Headers`. Names may be in any case. */
export type HeadersInput = Iterable<readonly [string, string]> | Readonly<Record<string, string | undefined>>

/** A limit as it is, whoever asks. */
export interface Policy {
  /** The name of the limit; older forms have none, and are read as `default`. */
  readonly name: string
  /** Cost that a window allows. */
  readonly quota: number
  readonly window?: Duration.Duration | undefined
  /** What is counted, where it is not requests: `content-bytes`, `concurrent-requests`. */
  readonly unit?: string | undefined
  /** Whom the limit is for, in the server's own words. */
  readonly partitionKey?: Uint8Array | undefined
}

/** How a limit stands. */
export interface Limit {
  /** The name of the policy that it belongs to. */
  readonly name: string
  readonly remaining: number
  /** How long until `remaining` is what it says at the most; the whole quota again, with most servers. */
  readonly resetAfter?: Duration.Duration | undefined
  readonly partitionKey?: Uint8Array | undefined
}

/** All that a response tells about limits. */
export interface Report {
  readonly policies: ReadonlyArray<Policy>
  readonly limits: ReadonlyArray<Limit>
  readonly retryAfter?: Duration.Duration | undefined
}
