/**
 * A run: its scenarios from the first begin to the last end, and what may cut it short.
 *
 * @module
 */
import { Effect } from "effect"
import type { Recorder } from "../results/Recorder.ts"
import { type Running, run as runScenario, type Scenario } from "./Load.ts"

import type { Timing } from "./Timing.ts"

/** Why a run ended before its time. */
export type Ending =
  | { readonly kind: "completed" }
  /** Someone asked for it: a threshold that aborts, or a person. */
  | { readonly kind: "stopped"; readonly reason: string }
  /** Fewer iterations were begun than planned, or much later. */
  | { readonly kind: "missed"; readonly planned: number; readonly begun: number; readonly scenario: string }

export interface Options {
  readonly scenarios: ReadonlyArray<Scenario>
  readonly timing: Timing
  readonly recorder: Recorder
  /** How long what is under way may go on when nothing more begins. What is not over then ends as failed. */
  readonly gracefulStopSeconds: number
  /** Ends the run when, within a second, fewer than this part of the planned iterations were begun. */
  readonly abortBelow?: number | undefined
}

/** A run that has begun. */
export interface Handle {
  readonly done: Promise<Ending>
  /** Begins nothing more; what is under way has its graceful time. */
  readonly stop: (reason: string) => void
  /** Ends everything now. */
  readonly cut: () => void
}

const watchMillis = 100
const windowMicros = 1_000_000

// What a scenario's begins lack of its plan in the second that has passed.
const makeWatch = (running: Running) => {
  let due = 0
  let begun = 0
  return (): { readonly planned: number; readonly begun: number } => {
    const window = { planned: running.due() - due, begun: running.begun() - begun }
    due = running.due()
    begun = running.begun()
    return window
  }
}

/** Begins a run. The beginning of time is that of `timing`. */
export const start = ({ abortBelow, gracefulStopSeconds, recorder, scenarios, timing }: Options): Handle => {
  let ending: Ending = { kind: "completed" }
  let left = scenarios.length
  let isOver = false
  let graceTimer: (() => void) | undefined
  let resolve: (ending: Ending) => void = () => {}
  const done = new Promise<Ending>((settle) => {
    resolve = settle
  })
  const conclude = (): void => {
    if (isOver) return
    isOver = true
    cancelWatch()
    graceTimer?.()
    for (const { work } of scenarios) work.close()
    resolve(ending)
  }
  const allRunning: Array<Running> = []
  const cut = (): void => {
    for (const running of allRunning) running.stop()
    // What is closed ends as failed, and the last that ends concludes.
    for (const { work } of scenarios) work.close()
    conclude()
  }
  const stopAll = (why: Ending): void => {
    if (isOver || ending.kind !== "completed") return
    ending = why
    for (const running of allRunning) running.stop()
    graceTimer?.()
    graceTimer = timing.wakeAbout(timing.now() + gracefulStopSeconds * 1e6, cut)
  }

  let lastWatch = timing.now()
  let windowBegan = lastWatch
  let cancelWatch: () => void = () => {}
  const watch = (): void => {
    const now = timing.now()
    const loopDelay = Math.max(0, now - lastWatch - watchMillis * 1000)
    lastWatch = now
    recorder.loopDelay(now, loopDelay)
    recorder.setUsers(allRunning.reduce((sum, running) => sum + running.inFlight(), 0))
    if (abortBelow !== undefined && now - windowBegan >= windowMicros) {
      windowBegan = now
      for (const [at, look] of watches.entries()) {
        const { begun, planned } = look()
        const scenario = scenarios[at]?.name ?? ""
        if (planned > 0 && begun < planned * abortBelow) stopAll({ kind: "missed", planned, begun, scenario })
      }
    }
    if (!isOver) cancelWatch = timing.wakeAbout(now + watchMillis * 1000, watch)
  }

  let lastsUntil = 0
  for (const scenario of scenarios) {
    const running = runScenario({
      scenario,
      recorder,
      timing,
      finished: () => {
        if (--left === 0) conclude()
      }
    })
    allRunning.push(running)
    const { load } = scenario
    const seconds = load.model === "open" ? load.seconds : load.users.reduce((sum, piece) => sum + piece.seconds, 0)
    lastsUntil = Math.max(lastsUntil, (scenario.startAfterSeconds + seconds) * 1e6)
  }
  const watches = allRunning.map(makeWatch)
  cancelWatch = timing.wakeAbout(timing.now() + watchMillis * 1000, watch)
  // A limit of iterations may end a run early; nothing makes it longer than its time and its grace.
  graceTimer = timing.wakeAbout(lastsUntil + gracefulStopSeconds * 1e6, cut)
  if (scenarios.length === 0) conclude()
  return { done, stop: (reason) => stopAll({ kind: "stopped", reason }), cut }
}

/** A run as an effect; its interruption cuts it. */
export const run = (options: Options): Effect.Effect<Ending> =>
  Effect.callback<Ending>((resume) => {
    const handle = start(options)
    void handle.done.then((ending) => resume(Effect.succeed(ending)))
    return Effect.sync(handle.cut)
  })
