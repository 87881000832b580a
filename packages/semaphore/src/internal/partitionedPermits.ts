// Permits that parts of the load share by percentage: a part that is within its own
// share is let in even where others have used up the whole, and above its share it
// may have what nobody else uses. So the whole may exceed its capacity by what the
// others were lent, until they give it back.
//
// Each part has a line of its own. What comes free goes first to the parts below
// their share, then to the parts in turn.

import { Line, type Permits, settle, type Waiter } from "./line.ts"

export class Partition implements Permits {
  readonly refusal = undefined
  readonly line: Line = new Line()
  readonly share: number
  private readonly whole: PartitionedPermits
  held = 0
  waiting = 0
  admitted = 0

  constructor(whole: PartitionedPermits, share: number) {
    this.whole = whole
    this.share = share
  }

  /** Permits that are its own, whatever the others hold. */
  get guaranteed(): number {
    return this.share === 0 ? 0 : Math.max(1, Math.floor(this.share * this.whole.capacity))
  }

  /** Only single permits are asked for. */
  check(): void {}

  isFree(): boolean {
    if (this.line.head !== undefined) return false
    return this.held < this.guaranteed || (this.whole.held < this.whole.capacity && this.whole.waiting === 0)
  }

  take(): void {
    this.held++
    this.admitted++
    this.whole.held++
  }

  join(waiter: Waiter): void {
    this.line.append(waiter)
    this.waiting++
    this.whole.waiting++
  }

  leave(waiter: Waiter): void {
    this.remove(waiter)
  }

  release(): void {
    this.held--
    this.whole.held--
    if (this.whole.waiting > 0) this.whole.admit()
  }

  /** Lets the first in line in. */
  admitFirst(): void {
    const waiter = this.line.head
    if (waiter === undefined) return
    this.remove(waiter)
    this.take()
    settle(waiter, "admitted")
  }

  private remove(waiter: Waiter): void {
    this.line.remove(waiter)
    this.waiting--
    this.whole.waiting--
  }
}

export interface PartitionSnapshot {
  readonly guaranteed: number
  readonly held: number
  readonly waiting: number
  readonly admitted: number
}

export class PartitionedPermits {
  readonly named: ReadonlyMap<string, Partition>
  /** Those that name no part: without a share of their own where there are parts, else with the whole. */
  readonly rest: Partition
  private readonly inTurn: ReadonlyArray<Partition>
  private turn = 0
  capacity: number
  held = 0
  waiting = 0

  constructor(capacity: number, shares: Readonly<Record<string, number>> | undefined) {
    this.capacity = capacity
    this.named = new Map(Object.entries(shares ?? {}).map(([name, share]) => [name, new Partition(this, share)]))
    this.rest = new Partition(this, shares === undefined ? 1 : 0)
    this.inTurn = [this.rest, ...this.named.values()]
  }

  get admitted(): number {
    return this.inTurn.reduce((sum, { admitted }) => sum + admitted, 0)
  }

  snapshots(): Readonly<Record<string, PartitionSnapshot>> {
    return Object.fromEntries(
      [...this.named].map(([name, { admitted, guaranteed, held, waiting }]) => [
        name,
        { guaranteed, held, waiting, admitted }
      ])
    )
  }

  resize(capacity: number): void {
    this.capacity = capacity
    this.admit()
  }

  admit(): void {
    for (const partition of this.inTurn) {
      while (partition.waiting > 0 && partition.held < partition.guaranteed) partition.admitFirst()
    }
    while (this.waiting > 0 && this.held < this.capacity) {
      this.turn = (this.turn + 1) % this.inTurn.length
      this.inTurn[this.turn]?.admitFirst()
    }
  }
}
