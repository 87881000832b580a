export * as FetchPool from "./FetchPool.ts"
