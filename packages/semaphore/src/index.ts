export * as Bulkhead from "./Bulkhead.ts"
export * as KeyedSemaphore from "./KeyedSemaphore.ts"
export * as PrioritySemaphore from "./PrioritySemaphore.ts"
export * as Semaphore from "./Semaphore.ts"
