// One listener a signal, however many wait under it. An `EventTarget` goes through
// all of its listeners to take one off, so ten thousand waiters that share a signal
// would make each departure cost ten thousand steps; a set does not. With the last
// of them the listener goes too: a signal that outlives its waiters, or a part of
// `AbortSignal.any`, must not keep anything alive.

/** Something that can be told to give up. */
export interface Abortable {
  abort(reason: unknown): void
}

interface Watch {
  readonly members: Set<Abortable>
  readonly listener: () => void
}

const watches: WeakMap<AbortSignal, Watch> = new WeakMap()

const watch = (signal: AbortSignal): Watch => {
  const known = watches.get(signal)
  if (known !== undefined) return known
  const members = new Set<Abortable>()
  const listener = (): void => {
    watches.delete(signal)
    // One that leaves may let another go on, which is then no member any more and is passed over.
    for (const member of members) member.abort(signal.reason)
  }
  const made = { members, listener }
  watches.set(signal, made)
  signal.addEventListener("abort", listener, { once: true })
  return made
}

/** Has `member` told when the signal aborts, which it has not yet. O(1). */
export const onAbort = (signal: AbortSignal, member: Abortable): void => void watch(signal).members.add(member)

/** Has it told no more. O(1). */
export const forget = (signal: AbortSignal, member: Abortable): void => {
  const known = watches.get(signal)
  if (known === undefined) return
  known.members.delete(member)
  if (known.members.size > 0) return
  watches.delete(signal)
  signal.removeEventListener("abort", known.listener)
}
