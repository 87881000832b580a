// Which schedules are run. Each strategy is a sequence of ways to choose; what a
// run chose is written down, so that any run can be repeated and shrunk.

import type { ChoicePoint, Choose, Mode, Run } from "./scheduler.ts"

export interface Chosen {
  readonly choices: ReadonlyArray<number>
  /** How many options there were at each choice. */
  readonly options: ReadonlyArray<number>
}

/** A way to choose, and what it chose. */
export interface Chooser {
  readonly choose: Choose
  readonly chosen: () => Chosen
}

/** Follows a list of choices, then takes the first option; writes down what it did. */
export const follow = (prefix: ReadonlyArray<number>): Chooser =>
  decide((point, index) => {
    const wanted = prefix[index] ?? 0
    return wanted < point.options ? wanted : 0
  })

/** As {@link follow}, with the choice made by a function. */
export const decide = (pick: (point: ChoicePoint, index: number) => number): Chooser => {
  const choices: Array<number> = []
  const options: Array<number> = []
  return {
    choose: (point) => {
      const choice = pick(point, choices.length)
      choices.push(choice)
      options.push(point.options)
      return choice
    },
    chosen: () => ({ choices, options })
  }
}

/** The next list of choices in the order of a depth-first search; `undefined` after the last. */
export const next = (
  choices: ReadonlyArray<number>,
  options: ReadonlyArray<number>
): ReadonlyArray<number> | undefined => {
  for (let at = choices.length - 1; at >= 0; at--) {
    const choice = (choices[at] ?? 0) + 1
    if (choice < (options[at] ?? 0)) return [...choices.slice(0, at), choice]
  }
  return undefined
}

/** Preempts and interrupts seldom: a walk that always does sees nothing but the start of each fiber. */
export const randomPick = (draw: () => number) => {
  const below = (bound: number): number => Math.floor(draw() * bound)
  return ({ interruptsFrom, kind, options }: ChoicePoint): number => {
    if (kind === "preempt") return draw() < 0.1 ? 1 + below(options - 1) : 0
    const isInterruption = options > interruptsFrom && draw() < 0.15
    return isInterruption ? interruptsFrom + below(options - interruptsFrom) : below(interruptsFrom)
  }
}

/**
 * Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010), over choices instead of threads: the order is
 * ordinary but at `depth` points chosen among `length`, at which it is changed. A bug that needs d changes is met with a
 * probability of at least 1 / (n · length^(d-1)).
 */
export const pctPick = (draw: () => number, depth: number, length: number) => {
  const changes = new Set(Array.from({ length: depth }, () => Math.floor(draw() * Math.max(1, length))))
  return (point: ChoicePoint, index: number): number =>
    changes.has(index) ? 1 + Math.floor(draw() * (point.options - 1)) : 0
}

const trim = (choices: ReadonlyArray<number>): ReadonlyArray<number> => {
  let length = choices.length
  while (length > 0 && choices[length - 1] === 0) length--
  return choices.slice(0, length)
}

/** Whether two runs that made the same choices up to there met the same ones. */
export const isSameUpTo = (length: number, one: ReadonlyArray<number>, other: ReadonlyArray<number>): boolean => {
  for (let at = 0; at < length; at++) if (one[at] !== other[at]) return false
  return true
}

/** Puts choices back to the ordinary one for as long as the same kind of trouble comes of it. */
export const shrink = (
  choices: ReadonlyArray<number>,
  rerun: (choices: ReadonlyArray<number>) => Run,
  isSame: (run: Run) => boolean
): ReadonlyArray<number> => {
  let best = trim(choices)
  for (let isBetter = true; isBetter; ) {
    isBetter = false
    for (let at = best.length - 1; at >= 0; at--) {
      if (best[at] === 0) continue
      for (const candidate of [best.slice(0, at), best.with(at, 0), best.with(at, (best[at] ?? 1) - 1)]) {
        const trimmed = trim(candidate)
        if (trimmed.length < best.length || trimmed.some((choice, index) => choice !== best[index])) {
          if (isSame(rerun(trimmed))) {
            best = trimmed
            isBetter = true
            break
          }
        }
      }
      if (isBetter) break
    }
  }
  return best
}

/** Everything that a run is a function of, but the program. */
export interface Schedule {
  readonly mode: Mode
  readonly preemptions: number
  readonly interruptions: number
  readonly choices: ReadonlyArray<number>
}

export const token = ({ choices, interruptions, mode, preemptions }: Schedule): string =>
  `s1${mode === "free" ? "f" : ""}-${preemptions}-${interruptions}:${trim(choices).join(".")}`

/** The schedule of a token; `undefined` where it is none. */
export const parseToken = (text: string): Schedule | undefined => {
  const match = /^s1(f?)-(\d+)-(\d+):((?:\d+(?:\.\d+)*)?)$/.exec(text.trim())
  if (match === null) return undefined
  const [, free, preemptions = "0", interruptions = "0", choices = ""] = match
  return {
    mode: free === "f" ? "free" : "contract",
    preemptions: Number(preemptions),
    interruptions: Number(interruptions),
    choices: choices === "" ? [] : choices.split(".").map(Number)
  }
}
