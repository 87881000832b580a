// What primary and workers say to each other: plain data over the channel that
// the runtime gives them. Whatever has no `sluice` is somebody else's.

import type { RateLimiter } from "@sluice/rate-limiter"
import type { Snapshot } from "../../Health.ts"

/** A limit that all workers share, as it goes through the channel. */
export interface SharedLimit {
  readonly name: string
  readonly limit: number
  readonly intervalMillis: number
  readonly burst: number | undefined
  readonly algorithm: RateLimiter.Algorithm | undefined
  readonly maxClients: number
}

/** Allowed, remaining, milliseconds until the same is allowed, milliseconds until all is free, and the capacity. */
export type WrittenDecision = readonly [
  allowed: boolean,
  remaining: number,
  retryMillis: number,
  resetMillis: number,
  capacity: number
]

export type FromWorker =
  | { readonly sluice: "ready" }
  | { readonly sluice: "worn" }
  | { readonly sluice: "snapshot"; readonly question: number; readonly snapshot: Snapshot }
  | { readonly sluice: "others"; readonly question: number }
  | { readonly sluice: "limit"; readonly question: number; readonly limit: SharedLimit }
  | {
      readonly sluice: "decide"
      readonly question: number
      readonly limit: string
      readonly clients: ReadonlyArray<string>
    }

export type ToWorker =
  | { readonly sluice: "drain"; readonly millis: number }
  | { readonly sluice: "snapshot?"; readonly question: number }
  /** `error` where the question was a mistake. */
  | { readonly sluice: "answer"; readonly question: number; readonly answer: unknown; readonly error?: string }

const isSaid = (message: unknown): message is { readonly sluice: string } =>
  typeof message === "object" && message !== null && "sluice" in message && typeof message.sluice === "string"

export const fromWorker = (message: unknown): FromWorker | undefined =>
  isSaid(message) ? (message as FromWorker) : undefined

export const toWorker = (message: unknown): ToWorker | undefined =>
  isSaid(message) ? (message as ToWorker) : undefined
