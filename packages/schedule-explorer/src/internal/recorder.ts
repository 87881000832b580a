// How a program speaks to the run that it is part of: what it writes into the
// timeline, and what it promises.

import * as Context from "effect/Context"

/** Whether it holds; a text says how it does not. */
export type Law = () => boolean | string

export interface Promised {
  readonly name: string
  readonly law: Law
}

export interface Recorder {
  readonly mark: (text: string) => void
  /** Has to hold before every primitive from now on. */
  readonly always: (promised: Promised) => void
  /** Has to hold when the program has ended well. */
  readonly atEnd: (promised: Promised) => void
}

const nothing = (): void => undefined

/** Outside of the explorer nobody listens. */
export const Recorder: Context.Reference<Recorder> = Context.Reference<Recorder>("@sluice/schedule-explorer/Recorder", {
  defaultValue: () => ({ mark: nothing, always: nothing, atEnd: nothing })
})

/** What a fiber is about, from the outside in. */
export const Names: Context.Reference<ReadonlyArray<string>> = Context.Reference<ReadonlyArray<string>>(
  "@sluice/schedule-explorer/Names",
  { defaultValue: () => [] }
)

/** The only fiber here that may be interrupted, or that none may be; `undefined` leaves all to be. */
export const Victim: Context.Reference<object | undefined> = Context.Reference<object | undefined>(
  "@sluice/schedule-explorer/Victim",
  { defaultValue: () => undefined }
)

/** How a law is broken; `undefined` where it holds. */
export const brokenBy = ({ law, name }: Promised): string | undefined => {
  const found = law()
  if (found === true) return undefined
  return found === false ? name : `${name}: ${found}`
}
