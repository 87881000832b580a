// How a program writes into the timeline of the run that it is part of.

import * as Context from "effect/Context"

/** Outside of the explorer, marks go nowhere. */
export const Marker: Context.Reference<(text: string) => void> = Context.Reference<(text: string) => void>(
  "@sluice/schedule-explorer/Marker",
  { defaultValue: () => () => undefined }
)
