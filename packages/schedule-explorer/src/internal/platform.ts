// The platform's timers and queues in virtual time, for programs that use them
// beside Effect's: code that is called back by a transport, fibers that it runs
// of its own. A microtask runs when the present task has ended, as it does in
// JavaScript, before anything else; an immediate is a task among the others, and
// stays behind those before it; a timer is one of the virtual clock.

import type { Dispatcher } from "./dispatcher.ts"
import type { Timer, VirtualClock } from "./virtualClock.ts"

type Callback = (...args: ReadonlyArray<unknown>) => void

const isCallback = (value: unknown): value is Callback => typeof value === "function"

/** What a platform hands out for a timer. */
class Handle {
  cancel: () => void = () => {}
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
  hasRef(): boolean {
    return true
  }
}

export class Platform {
  private readonly clock: VirtualClock
  private readonly immediates: Dispatcher
  private readonly microtasks: Array<() => void> = []

  constructor(clock: VirtualClock, immediates: Dispatcher) {
    this.clock = clock
    this.immediates = immediates
  }

  /** Answers a call of the platform's; `undefined` where it is not one of those that are virtual. */
  call(name: string, [first, second, ...rest]: ReadonlyArray<unknown>): { readonly value: unknown } | undefined {
    if (name === "clearTimeout" || name === "clearImmediate") {
      if (first instanceof Handle) first.cancel()
      return { value: undefined }
    }
    if (!isCallback(first)) return undefined
    if (name === "queueMicrotask") {
      this.microtasks.push(first)
      return { value: undefined }
    }
    if (name === "setImmediate") return { value: this.immediate(() => first(second, ...rest)) }
    return name === "setTimeout" ? { value: this.timeout(() => first(...rest), Number(second) || 0) } : undefined
  }

  private immediate(run: () => void): Handle {
    const handle = new Handle()
    let isCancelled = false
    handle.cancel = () => {
      isCancelled = true
    }
    this.immediates.scheduleTask(() => {
      if (!isCancelled) run()
    }, 0)
    return handle
  }

  private timeout(fire: () => void, millis: number): Handle {
    const handle = new Handle()
    // A platform takes less than a millisecond for one.
    const timer: Timer = { at: this.clock.currentTimeMillisUnsafe() + Math.max(1, millis), fire }
    this.clock.add(timer)
    handle.cancel = () => this.clock.remove(timer)
    return handle
  }

  /** Runs the microtasks, and those that they queue. */
  drain(): void {
    for (let next = this.microtasks.shift(); next !== undefined; next = this.microtasks.shift()) next()
  }
}
