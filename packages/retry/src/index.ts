export * as Backoff from "./Backoff.ts"
export * as Retry from "./Retry.ts"
export * as RetryAfter from "./RetryAfter.ts"
