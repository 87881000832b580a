// The address of whoever sends a request that has no socket to ask.
import * as Context from "effect/Context"

export const PeerAddress: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "@sluice/server/internal/PeerAddress",
  { defaultValue: () => undefined }
)
