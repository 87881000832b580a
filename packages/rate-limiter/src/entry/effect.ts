export * as RateLimiterStore from "../RateLimiterStore.ts"
