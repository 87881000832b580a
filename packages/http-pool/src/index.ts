export * as HttpPool from "./HttpPool.ts"
