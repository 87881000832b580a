// The deadlines that come with requests. Only what can be one is handed on: a header
// that anybody can write must not cost a line in the log.

import { Deadline } from "@sluice/retry"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"

type Headers = Readonly<Record<string, string | undefined>>

const epochMillis = /^\d{1,15}$/
const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i
const grpcTimeout = /^\d{1,8}[HMSmun]$/

const isTime = (text: string): boolean =>
  epochMillis.test(text) || (rfc3339.test(text) && !Number.isNaN(Date.parse(text.toUpperCase())))

export type Deadlines = (
  received: Headers
) => (<A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Deadline.DeadlineExceeded, R>) | undefined

/**
 * Answers what runs a request under its deadline, or nothing where it has none.
 */
export const makeDeadlines = (name: string | undefined, maximum: Duration.Input | undefined): Deadlines => {
  const receive = Deadline.receiver({ maximum, ...(name === undefined ? undefined : { name }) })
  if (name === undefined) return maximum === undefined ? () => undefined : () => receive({})
  return (received) => {
    const at = received[name]
    const timeout = received["grpc-timeout"]
    if (at === undefined && timeout === undefined && maximum === undefined) return undefined
    const given: Record<string, string> = {}
    if (at !== undefined && isTime(at.trim())) given[name] = at
    if (timeout !== undefined && grpcTimeout.test(timeout.trim())) given["grpc-timeout"] = timeout
    return maximum === undefined && given[name] === undefined && given["grpc-timeout"] === undefined
      ? undefined
      : receive(given)
  }
}
