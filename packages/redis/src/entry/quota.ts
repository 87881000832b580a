export * as RedisQuota from "../RedisQuota.ts"
