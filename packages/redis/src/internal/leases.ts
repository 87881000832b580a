// One process's side of a leased semaphore.
//
// Each request is a ticket in Redis (leaseScripts.ts). Two fibers look after
// them. The keeper renews every ticket of the process, waiting or holding, by
// one command each third of a lease, and sooner when some ticket of anybody is
// about to end while fibers wait here, or when Redis is back. Its answer also
// tells what a lost message would have: what was handed over, and what is gone.
// The guard ends what could not be renewed: a lease counts from before the
// command that last renewed it was sent, so it ends here before it does in Redis.
//
// A ticket that is given up is put on a list that goes with the next renewal;
// whoever leaves a queue waits for nothing.

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { LeaseLost, LeaseLostFields, Shared, Stats } from "../LeasedSemaphore.ts"
import type { RedisAway, RedisSession, Script } from "../RedisSession.ts"
import type { WhenAway } from "../WhenAway.ts"
import { type Restore, settle, suspended } from "./cell.ts"
import { makeCombiner } from "./combiner.ts"
import { exchangeScript, inspectScript, resizeScript } from "./leaseScripts.ts"
import { makeLocalPermits } from "./localPermits.ts"
import {
  type Heard,
  makeTickets,
  readGrant,
  type Saying,
  share,
  type Tenure,
  type Ticket,
  type Wake,
  watchLoss,
  write
} from "./tickets.ts"
import { millisOf } from "./time.ts"

export interface Settings {
  readonly name: string
  readonly permits: number
  readonly leaseMillis: number
  readonly whenAway: WhenAway
  readonly makeLost: (fields: LeaseLostFields) => LeaseLost
}

export interface Leases {
  /** Takes permits, waiting with `restore`. To be run uninterruptibly. */
  readonly acquire: (weight: number, restore: Restore) => Effect.Effect<Tenure, RedisAway>
  readonly tryAcquire: (weight: number, restore: Restore) => Effect.Effect<Tenure | undefined, RedisAway>
  readonly release: (tenure: Tenure) => Effect.Effect<void>
  readonly resize: (permits: number) => Effect.Effect<void, RedisAway>
  readonly shared: Effect.Effect<Shared, RedisAway>
  readonly stats: () => Stats
}

/** How often whoever waits asks at least: the safety net under messages that get lost. */
const slowPollMillis = 5000

// A script that runs for long holds up everybody's.
const renewedAtOnce = 500
const saidAtOnce = 100

export const checkWeight = (weight: number): void => {
  if (!Number.isSafeInteger(weight) || weight < 1) {
    throw new RangeError(`Cannot take ${weight} permits: a whole number, 1 or more, is needed`)
  }
}

const checkCapacity = (permits: number): void => {
  if (!Number.isSafeInteger(permits) || permits < 0) {
    throw new RangeError(`Cannot make a semaphore of ${permits} permits: a whole number, 0 or more, is needed`)
  }
}

export const makeLeases: (session: RedisSession, settings: Settings) => Effect.Effect<Leases, never, Scope.Scope> =
  Effect.fnUntraced(function* (session, settings) {
    const { leaseMillis, name, whenAway } = settings
    checkCapacity(settings.permits)
    if (!(leaseMillis >= 10)) {
      throw new RangeError(`Cannot make a semaphore with a lease of ${leaseMillis} ms: 10 ms or more are needed`)
    }
    // A twentieth before Redis would: for clocks that run apart, and for holders that need a moment to stop.
    const ownMillis = 0.95 * leaseMillis
    const clock = yield* Clock.Clock
    const now = (): number => millisOf(clock)
    const base = `${session.prefix}:{${name}}`
    const keys = ["state", "queue", "expiry", "free"].map((part) => `${base}:${part}`)
    const wakePrefix = `${session.prefix}:wake:`

    const topic = `${session.id}.${session.nextNumber()}`
    const tickets = makeTickets(topic)
    /** Tickets that Redis may have and nobody wants, and until when they matter. */
    const dropped = new Map<string, number>()
    const work = Latch.makeUnsafe(false)
    const hurry = Latch.makeUnsafe(false)
    let capacity = settings.permits
    // What a resize may still grow to is not known, so only the largest capacity so far tells what can never be served.
    let largest = capacity
    let held = 0
    let waiting = 0
    let admitted = 0
    let admittedLocally = 0
    let rejected = 0
    let lost = 0
    let requeued = 0
    let renewAt = 0
    let pollAt = Number.POSITIVE_INFINITY
    let hasLeavers = false
    let isClosed = false

    const ownShare = (): number =>
      whenAway === "failOpen" ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(capacity / session.instances()))
    // What is held through Redis is of the share too.
    const local = makeLocalPermits(() => ownShare() - held, ownShare)

    const learnCapacity = (answer: unknown): void => {
      capacity = Number(answer)
      largest = Math.max(largest, capacity)
    }

    const common = (): string => `${wakePrefix} ${capacity} ${leaseMillis}`

    const awake = (): void => {
      if (work.openUnsafe()) renewAt = now() + leaseMillis / 3
    }

    const drop = (ticket: Ticket): void => {
      dropped.set(ticket.written, now() + leaseMillis)
      awake()
    }

    const hold = (ticket: Ticket, granted: string): void => {
      readGrant(ticket, granted)
      if (ticket.state === "waiting") waiting--
      ticket.state = "held"
      held += ticket.weight
      admitted++
      awake()
      settle(ticket.cell, "held")
    }

    const end = (ticket: Ticket): void => {
      if (ticket.state === "waiting") waiting--
      if (ticket.state === "held") held -= ticket.weight
      ticket.state = "ended"
      tickets.remove(ticket)
      local.serve()
    }

    const lose = (ticket: Ticket, reason: LeaseLostFields["reason"]): void => {
      end(ticket)
      lost++
      ticket.lostTo = settings.makeLost({ name, token: ticket.token, reason })
      for (const watcher of ticket.watchers) watcher(ticket.lostTo)
    }

    /** The waiter goes to the end of the queue, or where the policy for when Redis is away sends it. */
    const sendBack = (ticket: Ticket): void => {
      end(ticket)
      requeued++
      settle(ticket.cell, "again")
    }

    const leaveAndAskAgain = (ticket: Ticket): void => {
      drop(ticket)
      sendBack(ticket)
    }

    /** A message tells that a ticket was granted its permits. */
    const hear = (message: string): void => {
      const ticket = tickets.find(message)
      if (ticket?.state === "asking" || ticket?.state === "waiting")
        hold(ticket, message.slice(message.indexOf(" ") + 1))
    }

    const tenureOf = (ticket: Ticket): Tenure => ({
      weight: ticket.weight,
      token: ticket.token,
      slots: ticket.slots,
      onLost: (callback) => watchLoss(ticket, callback),
      end: () => {
        if (ticket.state === "ended") return Effect.void
        end(ticket)
        return Effect.withFiber((fiber) => {
          const goodbye = { drops: [ticket.written], asks: [], keeps: [] }
          conversation.tell(goodbye, fiber.currentDispatcher, () => drop(ticket))
          return Effect.void
        })
      }
    })

    const localTenure = (weight: number): Tenure => {
      admitted++
      admittedLocally++
      return {
        weight,
        token: undefined,
        slots: [],
        onLost: () => () => {},
        end: () => Effect.sync(() => local.release(weight))
      }
    }

    const converse = (
      sayings: ReadonlyArray<Saying>,
      done: (exit: Exit.Exit<ReadonlyArray<Heard>, RedisAway>) => void
    ): void => {
      const sentAt = now()
      const drops = [...leavers(), ...sayings.flatMap((saying) => saying.drops)]
      const { asks, keeps, text } = write(sayings, drops)
      const understand = (answer: unknown): ReadonlyArray<Heard> => {
        const answers: ReadonlyArray<unknown> = Array.isArray(answer) ? answer : []
        learnCapacity(answers[0])
        for (const written of drops) dropped.delete(written)
        const soonest = now() + Math.min(slowPollMillis, Math.max(0, Number(answers[1])) + 1)
        if (keeps > 0) pollAt = soonest
        else if (soonest < pollAt) {
          pollAt = soonest
          if (soonest < renewAt) hurry.openUnsafe()
        }
        return share(sayings, answers, asks, sentAt)
      }
      session.evaluateUnsafe(exchangeScript, keys, [common(), text], (exit) => done(Exit.map(exit, understand)))
    }

    const conversation = makeCombiner<Saying, Heard, RedisAway>({
      most: saidAtOnce,
      run: converse
    })

    /** A script of its own, after all that was told before. */
    const evaluate = (script: Script, ...args: ReadonlyArray<string>): Effect.Effect<unknown, RedisAway> =>
      Effect.suspend(() => {
        const alone = session.evaluate(script, keys, [common(), ...args])
        return conversation.isIdle()
          ? alone
          : Effect.andThen(conversation.ask({ drops: [], asks: [], keeps: [] }), alone)
      })

    /** Asks Redis, and answers whether it may be waited for. Fails as Redis does. */
    const ask = (ticket: Ticket, mayWait: boolean): Effect.Effect<boolean, RedisAway> =>
      Effect.map(conversation.ask({ drops: [], asks: [{ ticket, mayWait }], keeps: [] }), ({ answers, asksFrom }) => {
        const answer = String(answers[asksFrom] ?? "full")
        // The message that permits were handed over may have come before the answer that they must be waited for.
        if (ticket.state === "held") return true
        if (answer === "full") return false
        if (answer !== "waits") {
          hold(ticket, answer)
          return true
        }
        ticket.state = "waiting"
        waiting++
        awake()
        return true
      })

    /** What may go with the next command. Those that have ended in Redis by now go nowhere. */
    const leavers = (): ReadonlyArray<string> => {
      hasLeavers = false
      for (const [written, until] of dropped) if (until < now()) dropped.delete(written)
      return [...dropped.keys()].slice(0, renewedAtOnce)
    }

    const abandon = (ticket: Ticket): void => {
      if (ticket.state === "ended") return
      end(ticket)
      drop(ticket)
      hasLeavers = true
      hurry.openUnsafe()
    }

    const without = (weight: number, away: RedisAway, mayWait: boolean, restore: Restore) =>
      Effect.suspend((): Effect.Effect<Tenure | undefined, RedisAway> => {
        if (whenAway === "failClosed" || !local.couldServe(weight)) {
          rejected++
          return Effect.fail(away)
        }
        if (local.tryTake(weight)) return Effect.succeed(localTenure(weight))
        if (!mayWait) {
          rejected++
          return Effect.succeed(undefined)
        }
        return Effect.flatMap(local.wait(weight, restore), (wake) =>
          wake === "held" ? Effect.succeed(localTenure(weight)) : attempt(weight, true, restore)
        )
      })

    const attempt = (
      weight: number,
      mayWait: boolean,
      restore: Restore
    ): Effect.Effect<Tenure | undefined, RedisAway> =>
      Effect.suspend(() => {
        if (isClosed) return Effect.interrupt
        const ticket = tickets.add(session.nextNumber(), weight, now() + ownMillis)
        const waited = Effect.flatMap(ask(ticket, mayWait), (mayComeTrue) =>
          mayComeTrue ? suspended(ticket.cell) : Effect.succeed<Wake | undefined>(undefined)
        )
        const asking = Effect.onExitPrimitive(
          restore(waited),
          (exit) => {
            if (Exit.isFailure(exit)) abandon(ticket)
            else if (exit.value === undefined) end(ticket)
            return undefined
          },
          true
        )
        return Effect.matchEffect(asking, {
          onFailure: (away) => without(weight, away, mayWait, restore),
          onSuccess: (wake) => {
            if (wake === "held") return Effect.succeed(tenureOf(ticket))
            if (wake === "again") return attempt(weight, mayWait, restore)
            rejected++
            return Effect.succeed(undefined)
          }
        })
      })

    const checked = (weight: number): void => {
      checkWeight(weight)
      if (weight > largest)
        throw new RangeError(`Cannot take ${weight} permits: the semaphore ${name} holds ${largest}`)
    }

    const apply = (ticket: Ticket, answer: string, sentAt: number): void => {
      if (ticket.state !== "waiting" && ticket.state !== "held") return
      if (answer === "gone") {
        if (ticket.state === "held") lose(ticket, "gone")
        else sendBack(ticket)
        return
      }
      ticket.validUntil = sentAt + ownMillis
      if (answer !== "waits" && ticket.state === "waiting") hold(ticket, answer)
    }

    const renewSome = (keeps: ReadonlyArray<Ticket>) =>
      Effect.map(conversation.ask({ drops: [], asks: [], keeps }), (heard) => {
        for (const [index, ticket] of keeps.entries()) {
          apply(ticket, String(heard.answers[heard.keepsFrom + index] ?? "gone"), heard.sentAt)
        }
      })

    const renew = Effect.suspend(() => {
      renewAt = now() + leaseMillis / 3
      const all = tickets.known()
      const batches = [renewSome(all.slice(0, renewedAtOnce))]
      for (let at = renewedAtOnce; at < all.length; at += renewedAtOnce) {
        batches.push(renewSome(all.slice(at, at + renewedAtOnce)))
      }
      // Whether it comes through or not, the next one is due: the guard looks after what it leaves.
      return Effect.ignore(Effect.all(batches, { discard: true }))
    })

    const keeper = Effect.suspend(() => {
      if (tickets.size() === 0 && dropped.size === 0) {
        work.closeUnsafe()
        return work.await
      }
      const due = Math.min(renewAt, waiting > 0 ? pollAt : Number.POSITIVE_INFINITY)
      const pause = due - now()
      hurry.closeUnsafe()
      if (pause <= 0) return renew
      // Leavers go at once and alone: those who stay need not be renewed each time that one leaves.
      if (hasLeavers) return Effect.ignore(renewSome([]))
      return Effect.raceFirst(Effect.sleep(pause), hurry.await)
    })

    const expire = (ticket: Ticket): void => {
      const isAway = session.isAway()
      // A waiter whose ticket is gone while Redis is there hears so from the keeper.
      if (ticket.state === "waiting" && isAway) leaveAndAskAgain(ticket)
      if (ticket.state === "held" && !(isAway && whenAway !== "failClosed")) {
        lose(ticket, "expired")
        drop(ticket)
      }
    }

    const guard = Effect.suspend(() => {
      const time = now()
      let next = time + leaseMillis / 3
      for (const ticket of tickets.known()) {
        if (ticket.validUntil <= time) expire(ticket)
        else if (ticket.validUntil < next) next = ticket.validUntil
      }
      if (tickets.size() > 0 || dropped.size > 0) return Effect.sleep(next - time)
      work.closeUnsafe()
      return work.await
    })

    // When the scope closes nobody renews any more: what is still held is lost, and goes back at once.
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        isClosed = true
        for (const ticket of tickets.known()) {
          drop(ticket)
          if (ticket.state === "held") lose(ticket, "gone")
          else sendBack(ticket)
        }
        local.sendBack()
        const goodbyes: Array<Effect.Effect<unknown, RedisAway>> = []
        const gone = [...dropped.keys()]
        for (let at = 0; at < gone.length; at += renewedAtOnce) {
          goodbyes.push(conversation.ask({ drops: gone.slice(at, at + renewedAtOnce), asks: [], keeps: [] }))
        }
        dropped.clear()
        return Effect.ignore(Effect.all(goodbyes))
      })
    )
    yield* Effect.forkScoped(Effect.forever(keeper))
    yield* Effect.forkScoped(Effect.forever(guard))
    const unwatch = session.watch({
      onAway: () => {
        if (whenAway !== "failClosed") {
          for (const ticket of tickets.known()) if (ticket.state === "waiting") leaveAndAskAgain(ticket)
        }
      },
      onBack: () => {
        local.sendBack()
        renewAt = now()
        hurry.openUnsafe()
      }
    })
    yield* Effect.addFinalizer(() => Effect.sync(unwatch))
    session.listen(topic, hear)
    yield* Effect.addFinalizer(() => Effect.sync(() => session.unlisten(topic)))
    yield* session.subscribed

    const acquire: Leases["acquire"] = (weight, restore) =>
      Effect.suspend(() => {
        checked(weight)
        return Effect.flatMap(attempt(weight, true, restore), (tenure) =>
          tenure === undefined
            ? Effect.die(new Error("A request that may wait is never refused"))
            : Effect.succeed(tenure)
        )
      })

    return {
      acquire,
      tryAcquire: (weight, restore) =>
        Effect.suspend(() => {
          checked(weight)
          return attempt(weight, false, restore)
        }),
      release: (tenure) =>
        Effect.suspend(() => {
          const ending = tenure.end
          tenure.end = undefined
          return ending === undefined ? Effect.void : ending()
        }),
      resize: (permits) =>
        Effect.suspend(() => {
          checkCapacity(permits)
          return Effect.map(evaluate(resizeScript, String(permits)), learnCapacity)
        }),
      shared: Effect.map(evaluate(inspectScript), (answer) => {
        const [of = 0, inUse = 0, queued = 0, token = 0] = Array.isArray(answer) ? answer.map(Number) : []
        return { capacity: of, held: inUse, waiting: queued, token }
      }),
      stats: () => ({
        capacity,
        held,
        heldLocally: local.held(),
        waiting: waiting + local.waiting(),
        admitted,
        admittedLocally,
        rejected,
        lost,
        requeued,
        isAway: session.isAway()
      })
    }
  })
