export * as KeyedRateLimiter from "./KeyedRateLimiter.ts"
export * as RateLimiter from "./RateLimiter.ts"
