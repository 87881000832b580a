/**
 * How many at once, and bulk work: the part that loads nothing but itself.
 *
 * @module
 */
export * from "../AdaptiveLimit.ts"
export { type Bulkhead, BulkheadFull, type BulkheadOptions, BulkheadTimeout, createBulkhead } from "../Bulkhead.ts"
export type * from "../Duration.ts"
export * from "../KeyedSemaphore.ts"
export * from "../map.ts"
export * from "../Semaphore.ts"
