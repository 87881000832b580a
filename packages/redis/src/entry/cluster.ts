export * as RedisCluster from "../RedisCluster.ts"
