/** A promise, and what settles it. */
export interface Deferred<A> {
  readonly promise: Promise<A>
  readonly resolve: (value: A) => void
  readonly reject: (error: unknown) => void
}

export const deferred = <A = void>(): Deferred<A> => {
  let resolve: (value: A) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<A>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/** Lets everything go on that can: a turn of the event loop comes after every microtask. */
export const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** What a promise came to, without being rejected itself. */
export const outcome = <A>(promise: Promise<A>): Promise<{ readonly value: A } | { readonly error: unknown }> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error })
  )

/** Where faults and interleavings come from: several seeds, the same each time. */
export const seeds: ReadonlyArray<number> = [1, 20_261_121, 0x5eed]

/** Random whole numbers below `below`, the same for the same seed. */
export const makeRandom = (seed: number): ((below: number) => number) => {
  let state = seed >>> 0
  return (below) => {
    // xorshift32 never leaves zero, and a seed of it would stay there.
    state = (state === 0 ? 1 : state) >>> 0
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}
