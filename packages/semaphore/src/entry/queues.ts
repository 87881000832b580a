/**
 * The queues behind the semaphores, without anything that runs: for those who
 * wait by other means than fibers, as `@sluice/promise` does. Nothing of Effect is
 * loaded for them but its durations.
 *
 * What waits is a {@link Waiter}, told by its `settled`; who goes when is the
 * queue's own business, and the same for all. These are the mechanism, not a
 * contract for programs: a program wants `@sluice/semaphore` or `@sluice/promise`.
 *
 * @module
 */
export { KeyedPermits, type KeyedSnapshot, type KeySnapshot } from "../internal/keyedPermits.ts"
export { LimitWindow, type Outcome, type Request } from "../internal/limitWindow.ts"
export { isCount, type Permits, permitsWord, quit, tryTake, type Waiter } from "../internal/line.ts"
export { type Partition, PartitionedPermits, type PartitionSnapshot } from "../internal/partitionedPermits.ts"
export { PermitQueue, type Snapshot } from "../internal/permitQueue.ts"
export { PriorityQueue, type PrioritySnapshot } from "../internal/priorityQueue.ts"
export { type Algorithm, aimd, gradient2, vegas } from "../LimitAlgorithm.ts"
