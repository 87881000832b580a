// Tickets, as a process knows them, and how it speaks of them to Redis: many
// sayings in one text, their answers in one list.

import type * as Effect from "effect/Effect"
import type { LeaseLost } from "../LeasedSemaphore.ts"
import { type Cell, makeCell } from "./cell.ts"

/** Permits that are held, through Redis or without it. */
export interface Tenure {
  readonly weight: number
  readonly token: number | undefined
  readonly slots: ReadonlyArray<number>
  /** Calls back when the lease is lost, or has been. Answers how to stop. */
  readonly onLost: (callback: (error: LeaseLost) => void) => () => void
  /** What gives them back, the first time. */
  end: (() => Effect.Effect<void>) | undefined
}

/** What a waiter is woken with: it has its permits, or must ask again. */
export type Wake = "held" | "again"

export interface Ticket {
  /** `topic.place.number` */
  readonly id: string
  /** Greater than those of all that asked before. */
  readonly number: number
  /** Where it stands in the table. */
  readonly place: number
  readonly weight: number
  readonly cell: Cell<Wake>
  watchers: ReadonlyArray<(error: LeaseLost) => void>
  lostTo: LeaseLost | undefined
  state: "asking" | "waiting" | "held" | "ended"
  /** Until when it surely stands in Redis, if nothing renews it. */
  validUntil: number
  /** As it stands in Redis, as far as is known. */
  written: string
  token: number
  slots: ReadonlyArray<number>
}

const nobody: ReadonlyArray<(error: LeaseLost) => void> = []

const makeTicket = (id: string, number: number, place: number, weight: number, validUntil: number): Ticket => ({
  id,
  number,
  place,
  weight,
  written: `${id} ${weight}`,
  cell: makeCell(),
  watchers: nobody,
  lostTo: undefined,
  state: "asking",
  validUntil,
  token: 0,
  slots: []
})

/** The tickets of one semaphore in one process, found by their place. No ticket leaves a trace in the next one's memory. */
export interface Tickets {
  readonly add: (number: number, weight: number, validUntil: number) => Ticket
  readonly remove: (ticket: Ticket) => void
  /** The ticket whose id is a text's first word, if it is still there. */
  readonly find: (text: string) => Ticket | undefined
  /** Those that Redis is known to have, in the order of their asking. */
  readonly known: () => Array<Ticket>
  readonly size: () => number
}

export const makeTickets = (topic: string): Tickets => {
  const places: Array<Ticket | undefined> = []
  const free: Array<number> = []
  return {
    add: (number, weight, validUntil) => {
      const place = free.pop() ?? places.length
      const ticket = makeTicket(`${topic}.${place}.${number}`, number, place, weight, validUntil)
      places[place] = ticket
      return ticket
    },
    remove: (ticket) => {
      if (places[ticket.place] !== ticket) return
      places[ticket.place] = undefined
      free.push(ticket.place)
    },
    find: (text) => {
      const ticket = places[Number.parseInt(text.slice(topic.length + 1), 10)]
      return ticket !== undefined && text.startsWith(`${ticket.id} `) ? ticket : undefined
    },
    known: () =>
      places
        .filter((ticket): ticket is Ticket => ticket?.state === "waiting" || ticket?.state === "held")
        .sort((one, other) => one.number - other.number),
    size: () => places.length - free.length
  }
}

/** Takes down what a ticket was granted: its token, then its slots. */
export const readGrant = (ticket: Ticket, granted: string): void => {
  const space = granted.indexOf(" ")
  ticket.token = Number(granted.slice(0, space))
  ticket.slots = granted
    .slice(space + 1)
    .split(",")
    .map(Number)
  ticket.written = `${ticket.id} ${ticket.weight} ${granted}`
}

/** Calls back when a lease is lost, or has been. Answers how to stop. */
export const watchLoss = (ticket: Ticket, callback: (error: LeaseLost) => void): (() => void) => {
  if (ticket.lostTo !== undefined) callback(ticket.lostTo)
  ticket.watchers = [...ticket.watchers, callback]
  return () => {
    ticket.watchers = ticket.watchers.length === 1 ? nobody : ticket.watchers.filter((other) => other !== callback)
  }
}

/** What a process has to say to Redis. */
export interface Saying {
  /** Tickets to take away. */
  readonly drops: ReadonlyArray<string>
  readonly asks: ReadonlyArray<{ readonly ticket: Ticket; readonly mayWait: boolean }>
  /** Tickets to renew. */
  readonly keeps: ReadonlyArray<Ticket>
}

/** Where its answers stand among those of the command, in the order of its saying. */
export interface Heard {
  readonly sentAt: number
  readonly answers: ReadonlyArray<unknown>
  readonly asksFrom: number
  readonly keepsFrom: number
}

/** The text of many sayings: what to take away, what to ask for, what to renew. */
export const write = (
  sayings: ReadonlyArray<Saying>,
  drops: ReadonlyArray<string>
): { readonly text: string; readonly asks: number; readonly keeps: number } => {
  let text = ""
  let renewed = ""
  let asks = 0
  let keeps = 0
  for (const written of drops) text += `|-${written}`
  for (const saying of sayings) {
    for (const { mayWait, ticket } of saying.asks) text += `${mayWait ? "|+" : "|?"}${ticket.written}`
    for (const { written } of saying.keeps) renewed += `|=${written}`
    asks += saying.asks.length
    keeps += saying.keeps.length
  }
  return { text: text + renewed, asks, keeps }
}

/** Gives each saying its part of the answers, which follow the capacity and the time. */
export const share = (
  sayings: ReadonlyArray<Saying>,
  answers: ReadonlyArray<unknown>,
  asks: number,
  sentAt: number
): ReadonlyArray<Heard> => {
  let asksFrom = 2
  let keepsFrom = 2 + asks
  return sayings.map((saying) => {
    const heard: Heard = { sentAt, answers, asksFrom, keepsFrom }
    asksFrom += saying.asks.length
    keepsFrom += saying.keeps.length
    return heard
  })
}
