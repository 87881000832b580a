// Snapshots, made when asked for.
import type { OriginStats, Stats } from "../HttpPool.ts"
import { type CloseReason, noneClosed } from "./link.ts"
import type { Origin, Pool } from "./pool.ts"

const counts = [
  "open",
  "idle",
  "inFlight",
  "waiting",
  "created",
  "closed",
  "reused",
  "replayed",
  "admitted",
  "rejected"
] as const
type Counts = Record<(typeof counts)[number], number>

const none = (): Counts & { readonly closedBy: Record<CloseReason, number> } => ({
  open: 0,
  idle: 0,
  inFlight: 0,
  waiting: 0,
  created: 0,
  closed: 0,
  reused: 0,
  replayed: 0,
  admitted: 0,
  rejected: 0,
  closedBy: noneClosed()
})

const originStats = (origin: Origin): OriginStats => ({
  ...none(),
  ...Object.fromEntries(counts.map((name) => [name, name === "idle" ? origin.idle.length : origin[name]])),
  origin: origin.origin,
  closedBy: { ...origin.closedBy }
})

export const poolStats = (pool: Pool): Stats => {
  const total = none()
  const origins = Array.from(pool.origins.values(), originStats)
  for (const stats of origins) {
    for (const name of counts) total[name] += stats[name]
    for (const [reason, count] of Object.entries(stats.closedBy)) total.closedBy[reason as CloseReason] += count
  }
  return { ...total, capacity: pool.settings.maxConnections, origins }
}
