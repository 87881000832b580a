// A worker's side of the channel to its primary.

import cluster from "node:cluster"
import type * as Http from "node:http"
import { Server, type Socket } from "node:net"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Health, Snapshot } from "../../Health.ts"
import type { ServeOptions, SharedLimitOptions, Worker } from "../../Workers.ts"
import { type FromWorker, type SharedLimit, toWorker, type WrittenDecision } from "./protocol.ts"
import { makeSharedLimiter } from "./rates.ts"

interface Question {
  readonly done: (answer: Effect.Effect<unknown>) => void
}

const sharedLimit = ({
  algorithm,
  burst,
  interval,
  limit,
  maxClients = 100_000,
  name = "clients"
}: SharedLimitOptions): SharedLimit => ({
  name,
  limit,
  intervalMillis: Duration.toMillis(interval),
  burst,
  algorithm,
  maxClients
})

// Bun closes idle connections with the listener, Deno those whose response was on its way, and a request may be on its way
// back: for so long they may be used once more, and are closed by that.
const lameDuckMillis = process.versions["bun"] === undefined && process.versions["deno"] === undefined ? 0 : 500

const closeListener = (server: Http.Server, onClosed: () => void): void => {
  const isNet: boolean = server instanceof Server
  // As `http.Server.close`, but that cuts idle connections.
  if (isNet) Server.prototype.close.call(server, onClosed)
  else server.close(onClosed)
}

/** Looks after the connections of a server: what they are, and how they end. */
const makeDrain = (server: Http.Server): ((millis: number) => Effect.Effect<void>) => {
  const sockets = new Set<Socket>()
  let isDraining = false
  let onEmpty: (() => void) | undefined
  // Deno calls a server closed while connections are open.
  const keep = (socket: Socket): void => {
    if (sockets.has(socket)) return
    sockets.add(socket)
    socket.once("close", () => {
      sockets.delete(socket)
      if (sockets.size === 0) onEmpty?.()
    })
  }
  server.on("connection", keep)
  // Before who answers it: afterwards the head may be written.
  server.prependListener("request", (request, response) => {
    keep(request.socket)
    if (isDraining) response.shouldKeepAlive = false
  })
  const ended = Effect.callback<void>((resume) => {
    isDraining = true
    const timer = setTimeout(() => {
      closeListener(server, () => {
        onEmpty = () => resume(Effect.void)
        if (sockets.size === 0) onEmpty()
      })
    }, lameDuckMillis)
    return Effect.sync(() => clearTimeout(timer))
  })
  return (millis) =>
    Effect.timeoutOrElse(ended, {
      duration: Duration.millis(millis),
      orElse: () => Effect.sync(() => server.closeAllConnections())
    })
}

export interface Member {
  readonly worker: Worker
  /** Ends the channel, so that the process may end. */
  readonly leave: () => void
}

export const makeMember = (place: number, maxRequests: number): Member => {
  const draining = Deferred.makeUnsafe<number>()
  const questions = new Map<number, Question>()
  let asked = 0
  let health: Health | undefined
  let handled = 0

  const tell = (message: FromWorker): void => {
    if (process.connected) process.send?.(message, undefined, undefined, () => {})
  }

  const ask = (message: (question: number) => FromWorker, done: Question["done"]): void => {
    const question = ++asked
    questions.set(question, { done })
    tell(message(question))
  }

  process.on("message", (received: unknown) => {
    const message = toWorker(received)
    switch (message?.sluice) {
      case "drain":
        Deferred.doneUnsafe(draining, Effect.succeed(message.millis))
        return
      case "snapshot?":
        if (health !== undefined) {
          tell({ sluice: "snapshot", question: message.question, snapshot: health.snapshotUnsafe() })
        }
        return
      case "answer": {
        const question = questions.get(message.question)
        questions.delete(message.question)
        question?.done(
          message.error === undefined ? Effect.succeed(message.answer) : Effect.die(new RangeError(message.error))
        )
      }
    }
  })

  // What goes to all processes of a terminal is for the primary to heed.
  process.on("SIGHUP", () => {})
  // Nobody is left who would replace it, or tell it to end. Deno does not tell of a channel that is reset, as one is whose
  // other end dies with something unread.
  let hasLeft = false
  const endAlone = (): void => {
    if (!hasLeft) process.exit(1)
  }
  process.once("disconnect", endAlone)
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) endAlone()
  }, 1000).unref()

  const count = (): void => {
    handled++
    if (handled === maxRequests) tell({ sluice: "worn" })
  }

  const serve = ({ health: own, server }: ServeOptions): Effect.Effect<void> =>
    Effect.gen(function* () {
      server.on("request", count)
      const drain = makeDrain(server)
      health = own
      if (own !== undefined) yield* own.ready
      tell({ sluice: "ready" })
      const millis = yield* Deferred.await(draining)
      if (own !== undefined) yield* own.drain
      yield* drain(millis)
    })

  const others: Effect.Effect<ReadonlyArray<Snapshot>> = Effect.callback((resume) => {
    ask(
      (question) => ({ sluice: "others", question }),
      (answer) => resume(Effect.map(answer, (snapshots) => snapshots as ReadonlyArray<Snapshot>))
    )
  })

  const limiter: Worker["limiter"] = (options) =>
    Effect.callback((resume) => {
      const limit = sharedLimit(options)
      const shared = makeSharedLimiter((clients, done) => {
        ask(
          (question) => ({ sluice: "decide", question, limit: limit.name, clients }),
          (answer) => done(Effect.map(answer, (decisions) => decisions as ReadonlyArray<WrittenDecision>))
        )
      })
      ask(
        (question) => ({ sluice: "limit", question, limit }),
        (answer) => resume(Effect.as(answer, shared))
      )
    })

  return {
    worker: {
      place,
      name: `${place}.${process.pid}`,
      draining: Effect.asVoid(Deferred.await(draining)),
      others,
      limiter,
      serve
    },
    leave: () => {
      const { worker } = cluster
      hasLeft = true
      if (worker?.isConnected()) worker.disconnect()
    }
  }
}
