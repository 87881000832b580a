/**
 * What somebody holds who has passed a limit.
 *
 * @module
 */

/** Permits that are held until they are given back: by `using`, or by {@link Permit.release}. */
export interface Permit extends Disposable {
  /** How many. */
  readonly permits: number
  /** Gives them back. A second time does nothing. */
  release(): void
}

class HeldPermit implements Permit {
  readonly permits: number
  private giveBack: ((permits: number) => void) | undefined

  constructor(permits: number, giveBack: (permits: number) => void) {
    this.permits = permits
    this.giveBack = giveBack
  }

  release(): void {
    const { giveBack, permits } = this
    this.giveBack = undefined
    giveBack?.(permits)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

/** Makes a permit of what was taken. */
export const makePermit = (permits: number, giveBack: (permits: number) => void): Permit =>
  new HeldPermit(permits, giveBack)
