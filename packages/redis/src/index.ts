export * as EffectStores from "./EffectStores.ts"
export * as LeasedSemaphore from "./LeasedSemaphore.ts"
export * as RedisSession from "./RedisSession.ts"
export type { WhenAway } from "./WhenAway.ts"
