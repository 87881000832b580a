export * as RateLimitLearner from "../RateLimitLearner.ts"
