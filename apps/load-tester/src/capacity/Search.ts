/**
 * The greatest rate at which a server holds an objective.
 *
 * The rate doubles until the objective fails, the gap is halved until it is
 * narrow, and what is left is measured again as often as is asked: a rate that
 * held by luck does not stand. A run that the tester itself has spoiled says
 * nothing of the server, and is repeated. What a run says of a rate is all that
 * the search knows, so that it works for a server, a simulation or a table.
 *
 * @module
 */
import { Effect } from "effect"

/** What a run at a rate has come to. */
export interface Measured {
  readonly isMet: boolean
  /** The tester could not send at the rate: what was measured is the tester. */
  readonly isClientLimited: boolean
}

export type Step = "growth" | "bisection" | "confirmation"

export interface Trial<M extends Measured> {
  readonly rate: number
  readonly step: Step
  readonly measured: M
}

export interface Options<M extends Measured, E, R> {
  readonly measure: (rate: number, step: Step) => Effect.Effect<M, E, R>
  /** The rate to begin with. */
  readonly start: number
  /** No rate below is tried. Default a thousandth of `start`, and at least 1. */
  readonly least?: number | undefined
  /** No rate above is tried. Default none. */
  readonly most?: number | undefined
  /** How narrow the gap becomes, as a part of the rate. Default 0.05. */
  readonly precision?: number | undefined
  /** How often the found rate is measured again. Default 2. */
  readonly confirmations?: number | undefined
  /** Runs in all, at most. Default 40. */
  readonly maxTrials?: number | undefined
}

export interface Found<M extends Measured> {
  /** The greatest rate that held, each time that it was measured; unset if none did. */
  readonly rate: number | undefined
  /** The least rate above it that failed; unset if none did, up to `most`. */
  readonly failsAt: number | undefined
  /** Whether it was measured as often as was asked, and the gap is as narrow as was asked. */
  readonly isConfirmed: boolean
  /** The tester was the limit: the server bears at least `rate`. */
  readonly isClientLimited: boolean
  /** All that was measured, in order. */
  readonly trials: ReadonlyArray<Trial<M>>
}

interface Knowledge {
  /** How often each rate held, or -1 once it has failed. */
  readonly held: Map<number, number>
}

/** So many times in a row a rate is measured that the tester cannot send; then it is taken to have failed. */
const patience = 3

const fails = ({ held }: Knowledge): number | undefined => {
  let least: number | undefined
  for (const [rate, times] of held) if (times < 0 && (least === undefined || rate < least)) least = rate
  return least
}

/** The greatest rate that held, below all that failed. */
const holds = (known: Knowledge): number | undefined => {
  const limit = fails(known) ?? Number.POSITIVE_INFINITY
  let most: number | undefined
  for (const [rate, times] of known.held) {
    if (times > 0 && rate < limit && (most === undefined || rate > most)) most = rate
  }
  return most
}

/** The rate to measure next, and why; nothing if all is known that was asked for. */
const next = (
  known: Knowledge,
  {
    confirmations,
    least,
    most,
    precision,
    start
  }: Required<Pick<Options<Measured, never, never>, "start">> & {
    readonly confirmations: number
    readonly least: number
    readonly most: number
    readonly precision: number
  }
): { readonly rate: number; readonly step: Step } | undefined => {
  const low = holds(known)
  const high = fails(known)
  if (low === undefined && high === undefined) return { rate: Math.min(most, Math.max(least, start)), step: "growth" }
  if (low === undefined) {
    const rate = Math.max(least, (high ?? start) / 2)
    return rate < (high ?? start) ? { rate, step: "growth" } : undefined
  }
  if (high === undefined && low < most) return { rate: Math.min(most, low * 2), step: "growth" }
  if (high !== undefined && high / low > 1 + precision) {
    // The middle by ratio, which halves the steps that are left.
    return { rate: Math.sqrt(low * high), step: "bisection" }
  }
  return (known.held.get(low) ?? 0) <= confirmations ? { rate: low, step: "confirmation" } : undefined
}

/**
 * Searches. Each trial halves the gap, so that it takes about log2(capacity / start) + log2(1 / precision) trials, and those
 * that confirm. A rate whose confirmation fails counts as failed, and the search goes on below it.
 */
export const search = <M extends Measured, E, R>(options: Options<M, E, R>): Effect.Effect<Found<M>, E, R> =>
  Effect.gen(function* () {
    const { confirmations = 2, maxTrials = 40, measure, precision = 0.05, start } = options
    const { least = Math.min(start, Math.max(1, start / 1000)), most = Number.POSITIVE_INFINITY } = options
    const known: Knowledge = { held: new Map() }
    const trials: Array<Trial<M>> = []
    const asked = { confirmations, least, most, precision, start }
    const found = (isConfirmed: boolean, isClientLimited: boolean): Found<M> => ({
      rate: holds(known),
      failsAt: fails(known),
      isConfirmed: isConfirmed && holds(known) !== undefined,
      isClientLimited,
      trials
    })
    let spoiled = 0
    while (trials.length < maxTrials) {
      const goal = next(known, asked)
      if (goal === undefined) return found(true, isLimitedAt(trials, fails(known)))
      const measured = yield* measure(goal.rate, goal.step)
      trials.push({ ...goal, measured })
      spoiled = measured.isClientLimited ? spoiled + 1 : 0
      if (spoiled > 0 && spoiled < patience) continue
      spoiled = 0
      const times = known.held.get(goal.rate) ?? 0
      // Once failed, a rate stays so.
      known.held.set(goal.rate, measured.isMet && !measured.isClientLimited && times >= 0 ? times + 1 : -1)
    }
    return found(false, isLimitedAt(trials, fails(known)))
  })

/** Whether what failed at a rate in the end was the tester. */
const isLimitedAt = <M extends Measured>(trials: ReadonlyArray<Trial<M>>, rate: number | undefined): boolean =>
  trials.findLast((trial) => trial.rate === rate)?.measured.isClientLimited === true
