// Snapshots, made when asked for.
import type { OriginStats, Stats } from "../HttpPool.ts"
import type { Origin, Pool } from "./pool.ts"

const originStats = (origin: Origin): OriginStats => ({
  origin: origin.origin,
  open: origin.open,
  idle: origin.idle.length,
  inFlight: origin.inFlight,
  waiting: origin.waiting,
  created: origin.created,
  closed: origin.closed,
  closedBy: { ...origin.closedBy },
  reused: origin.reused,
  replayed: origin.replayed,
  admitted: origin.admitted,
  rejected: origin.rejected
})

export const poolStats = (pool: Pool): Stats => {
  const origins = Array.from(pool.origins.values(), originStats)
  const sum = (count: (stats: OriginStats) => number): number =>
    origins.reduce((total, stats) => total + count(stats), 0)
  const closedBy = (reason: keyof OriginStats["closedBy"]) => sum((stats) => stats.closedBy[reason])
  return {
    capacity: pool.settings.maxConnections,
    open: sum((stats) => stats.open),
    idle: pool.idleCount,
    inFlight: pool.inFlight,
    waiting: sum((stats) => stats.waiting),
    created: sum((stats) => stats.created),
    closed: sum((stats) => stats.closed),
    closedBy: {
      expired: closedBy("expired"),
      peer: closedBy("peer"),
      evicted: closedBy("evicted"),
      retired: closedBy("retired"),
      isolated: closedBy("isolated"),
      interrupted: closedBy("interrupted"),
      timeout: closedBy("timeout"),
      failed: closedBy("failed"),
      shutdown: closedBy("shutdown")
    },
    reused: sum((stats) => stats.reused),
    replayed: sum((stats) => stats.replayed),
    admitted: sum((stats) => stats.admitted),
    rejected: sum((stats) => stats.rejected),
    origins
  }
}
