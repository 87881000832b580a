export * as LeasedSemaphore from "./LeasedSemaphore.ts"
export * as RedisRateLimiter from "./RedisRateLimiter.ts"
export * as RedisSession from "./RedisSession.ts"
export type { WhenAway } from "./WhenAway.ts"
