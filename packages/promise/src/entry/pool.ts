/**
 * A pooled `fetch`: the part that knows sockets, apart from what runs in browsers too.
 *
 * @module
 */
export type { Duration, Unit } from "../Duration.ts"
export * from "../Pool.ts"
export * from "../PoolError.ts"
