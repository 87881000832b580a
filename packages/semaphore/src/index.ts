export * as Bulkhead from "./Bulkhead.ts"
export * as Semaphore from "./Semaphore.ts"
