// A port that is free right now, for processes that are to share one that nobody
// has named.
import { createServer } from "node:net"
import { Effect } from "effect"

export const freePort = (host: string): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    const holder = createServer()
    holder.once("error", (error) => resume(Effect.die(error)))
    holder.listen(0, host, () => {
      const address = holder.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      holder.close(() => resume(Effect.succeed(port)))
    })
  })
