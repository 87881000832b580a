// What the pool does to its sessions by the clock: pings those in use, asks
// addresses for their health, closes what is idle.

import { Code } from "@connectrpc/connect"
import * as Effect from "effect/Effect"
import { Health, HealthCheckResponse_ServingStatus } from "../gen/grpc/health/v1/health_pb.ts"
import type { Address, Core } from "./core.ts"
import type { Session } from "./session.ts"
import type { HealthCheck, KeepAlive } from "./settings.ts"
import { UnaryCall } from "./unary.ts"

/** Closes a session whose server no longer answers. Ends with the session. */
export const keepAlive = (
  session: Session,
  { intervalMillis, isForIdle, timeoutMillis }: KeepAlive
): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (!session.isClosed) {
      yield* Effect.sleep(intervalMillis)
      if (session.isClosed || (session.inUse === 0 && !isForIdle)) continue
      const isAlive = yield* Effect.timeoutOrElse(session.ping, {
        duration: timeoutMillis,
        orElse: () => Effect.succeed(false)
      })
      if (!isAlive) session.destroy(`no answer to a ping within ${timeoutMillis} ms`)
    }
  })

/** Waits until one connection to the address is ready, or could not be made. Answers the session, if there is one. */
export const connected = (core: Core, address: Address): Effect.Effect<Session | undefined> =>
  Effect.callback<Session | undefined>((resume) => {
    const look = (): void => {
      for (const session of address.sessions) {
        if (!session.isOpen) continue
        address.onSettled.delete(look)
        resume(Effect.succeed(session))
        return
      }
      if (address.connecting > 0) return
      address.onSettled.delete(look)
      resume(Effect.succeed(undefined))
    }
    address.onSettled.add(look)
    // One that waits to be tried again is not hurried: who asks is told that it is not there.
    if (address.sessions.size === 0 && !address.isFailed) core.dial(address)
    look()
    return Effect.sync(() => address.onSettled.delete(look))
  })

const check = (core: Core, session: Session, health: HealthCheck): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const call = new UnaryCall(
      core,
      Health.method.check,
      { service: health.service },
      {},
      {
        succeed: ({ status }) => resume(Effect.succeed(status === HealthCheckResponse_ServingStatus.SERVING)),
        // A server without the service says nothing of its health.
        fail: ({ error }) => resume(Effect.succeed(error.code === Code.Unimplemented))
      },
      false
    )
    session.take()
    call.serve(session)
    return Effect.sync(() => call.cancel())
  }).pipe(Effect.timeoutOrElse({ duration: health.timeoutMillis, orElse: () => Effect.succeed(false) }))

/** Takes an address out while it is not serving, and brings it back. Ends when the address is removed. */
export const watchHealth = (core: Core, address: Address, health: HealthCheck): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (!address.isRemoved && !core.isClosing) {
      const session = yield* connected(core, address)
      // Without a connection there is nothing to ask, and no call goes there; with no stream free, there is life enough.
      if (session?.hasRoom === true) {
        const isServing = yield* check(core, session, health)
        // A connection that was lost meanwhile is the business of who connects.
        if (isServing || session.isOpen) core.setServing(address, isServing)
      }
      yield* Effect.sleep(health.intervalMillis)
    }
  })
