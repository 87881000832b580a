// Processor and memory, as every runtime that has `node:os` and `process` tells them.

export interface SystemReport {
  /** Of one core, since the report before. */
  readonly cpu_percent: number
  /** Of the machine. */
  readonly memory_percent: number
  readonly memory_available_gb: number
  /** Of this process. */
  readonly process_memory_mb: number
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))

/** Whoever asks sooner is told what was told before: over less, the processor's share would say nothing. */
const shortestMillis = 250

/** Answers a function that reports what came since it was last called. */
export const systemReport = (): (() => SystemReport) => {
  const os = process.getBuiltinModule("node:os")
  let before = process.cpuUsage()
  let beforeAt = performance.now()
  let told: SystemReport | undefined
  return () => {
    const now = performance.now()
    if (told !== undefined && now - beforeAt < shortestMillis) return told
    const used = process.cpuUsage()
    const micros = used.user - before.user + (used.system - before.system)
    const cpu = now > beforeAt ? micros / 10 / (now - beforeAt) : 0
    before = used
    beforeAt = now
    const total = os.totalmem()
    const free = os.freemem()
    told = {
      cpu_percent: round(cpu, 1),
      memory_percent: round((100 * (total - free)) / total, 1),
      memory_available_gb: round(free / 2 ** 30, 1),
      process_memory_mb: round(process.memoryUsage().rss / 2 ** 20, 1)
    }
    return told
  }
}
