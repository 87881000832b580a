// Permits that are handed over in the order of arrival.
import * as Effect from "effect/Effect"

export class Permits {
  private free: number
  private readonly waiters: Array<() => void> = []
  constructor(permits: number) {
    this.free = permits
  }
  tryTake(): boolean {
    if (this.free === 0) return false
    this.free--
    return true
  }
  readonly take: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.tryTake()) return resume(Effect.void)
    const waiter = () => resume(Effect.void)
    this.waiters.push(waiter)
    return Effect.sync(() => {
      const i = this.waiters.indexOf(waiter)
      if (i >= 0) this.waiters.splice(i, 1)
    })
  })
  release(): void {
    const next = this.waiters.shift()
    if (next === undefined) this.free++
    else next()
  }
}
