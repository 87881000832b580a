import { Effect } from "effect"

/** Waits for what another event, of a socket for one, brings about. A test that waits in vain ends by its timeout. */
export const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    let isOver = false
    const look = (): void => {
      if (isOver) return
      if (holds()) resume(Effect.void)
      else setTimeout(look, 1)
    }
    look()
    return Effect.sync(() => {
      isOver = true
    })
  })
