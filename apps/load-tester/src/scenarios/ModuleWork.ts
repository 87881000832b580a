// Work of scenario files. An iteration is a promise or a fiber here: what it
// does is the user's own program, beside which that costs little.

import type { Share } from "../engine/Arrivals.ts"
import type { Lane, Work } from "../engine/Load.ts"
import { parseSeconds } from "../engine/Pattern.ts"
import { random } from "../engine/Random.ts"
import type { Network } from "../protocols/Network.ts"
import { ErrorKind, type Recorder } from "../results/Recorder.ts"
import * as Feed from "./Feed.ts"
import { makeGrpc, make as makeHttp, makeWebSocket } from "./http.ts"
import type { Loaded } from "./ModuleFile.ts"
import type { Feeds, Scenario, User } from "./Scenario.ts"
import { turns } from "./TargetWork.ts"
import { promiseOf } from "./task.ts"

/** The check that every iteration of a scenario file makes. */
export const endsWell = "iteration ends without an error"

export interface Options {
  readonly loaded: Loaded
  /** The scenarios that share this load, by their weights. */
  readonly names: ReadonlyArray<string>
  /** What the file's set-up answered. */
  readonly shared: unknown
  readonly baseUrl: string | undefined
  readonly network: Network
  readonly recorder: Recorder
  readonly now: () => number
  readonly share: Share
  readonly seed: number
  /** Told of what went wrong in an iteration. */
  readonly complain: (scenario: string, error: unknown) => void
}

class Person {
  readonly id: number
  readonly values = new Map<string, unknown>()
  readonly random: () => number
  iteration = 0
  /** When the next request counts as begun; the planned moment until the first of an iteration was sent. */
  plannedAt: number | undefined

  constructor(id: number, seed: number) {
    this.id = id
    this.random = random(seed)
  }
}

/** The scenarios of a file, as work that picks among them. */
export const make = (options: Options): Work => {
  const { loaded, names, network, now, recorder, share } = options
  const { test } = loaded
  const aborter = new AbortController()
  const { signal } = aborter
  const feeds = new Map(
    Object.entries(test.feeds ?? {}).map(([name, spec], index) => [
      name,
      Feed.open(name, spec, loaded.folder, share, options.seed + index)
    ])
  )
  const ended = recorder.check(endsWell)
  const checks = new Map<string, number>()
  const people: Array<Person> = []

  const feed = <K extends string>(name: K): Feed.RowOf<Feeds[K]> => {
    const next = feeds.get(name)
    if (next === undefined) throw new Feed.BadFeed({ message: `Cannot feed ${name}: there is no such feed` })
    // What a file holds is the user's to know; the types tell what its notation can hold.
    return next() as Feed.RowOf<Feeds[K]>
  }
  const check = (name: string, holds: boolean): boolean => {
    let number = checks.get(name)
    if (number === undefined) {
      number = recorder.check(name)
      checks.set(name, number)
    }
    recorder.checked(number, holds)
    return holds
  }
  const think = (person: Person, time: string, upTo?: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const least = parseSeconds(time)
      const seconds = upTo === undefined ? least : least + (parseSeconds(upTo) - least) * person.random()
      const stop = (): void => {
        clearTimeout(timer)
        reject(signal.reason)
      }
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", stop)
        resolve()
      }, seconds * 1000)
      signal.addEventListener("abort", stop, { once: true })
    })
  const userOf = (scenario: number, person: Person, group: string): User => {
    const begin = (): number => {
      const at = person.plannedAt ?? now()
      person.plannedAt = undefined
      return at
    }
    const http = makeHttp({
      network,
      baseUrl: options.baseUrl ?? test.baseUrl,
      step: (name, protocol) => recorder.step(scenario, name, protocol, group),
      scheduledAt: begin,
      counts: true
    })
    const user: User = {
      id: person.id,
      iteration: person.iteration,
      shared: options.shared,
      values: person.values,
      random: person.random,
      signal,
      feed,
      check,
      think: (time, upTo) => think(person, time, upTo),
      http,
      grpc: makeGrpc(http),
      ws: makeWebSocket(http),
      step: async (name, work) => {
        const step = recorder.step(scenario, name, "work", group)
        const scheduledAt = begin()
        const startedAt = now()
        let error: number = ErrorKind.scenario
        try {
          const value = await promiseOf(work(), signal)
          error = ErrorKind.none
          return value
        } finally {
          recorder.request(step, scheduledAt, startedAt, now(), 0, error, 0, 0)
        }
      },
      group: (name, body) =>
        promiseOf(body(userOf(scenario, person, group === "" ? name : `${group}::${name}`)), signal)
    }
    return user
  }

  const chosen = names.map((name) => {
    const scenario: Scenario<Feeds, unknown> | undefined = test.scenarios[name]
    if (scenario === undefined) throw new RangeError(`Cannot run ${name}: there is no such scenario`)
    return { name, scenario, number: recorder.scenario(name) }
  })
  const next = turns(chosen.map(({ scenario }) => scenario.weight ?? 1))

  const iterate = async (lane: Lane): Promise<void> => {
    const entry = chosen[next()]
    if (entry === undefined) return
    let person = people[lane.id]
    if (person === undefined) {
      person = new Person(lane.id, options.seed * 1_000_003 + lane.id * share.of + share.index)
      people[lane.id] = person
    }
    person.iteration++
    person.plannedAt = lane.scheduledAt
    lane.scenario = entry.number
    try {
      await promiseOf(entry.scenario.run(userOf(entry.number, person, "")), signal)
      recorder.checked(ended, true)
    } catch (error) {
      // What was cut did not fail by itself.
      if (signal.aborted) return
      recorder.checked(ended, false)
      options.complain(entry.name, error)
    }
  }
  return {
    begin: (lane) => {
      void iterate(lane).finally(lane.ended)
    },
    dropped: () => chosen[next()]?.number ?? 0,
    close: () => {
      aborter.abort(new Error("the run is over"))
      network.close()
    }
  }
}
