// Says what each fiber waits for. A run is watched only when it is known to end
// in waiting, since it costs: a tracer sees every primitive before it is
// evaluated, so the last that a fiber came to is the one that it waits in.
//
// What kind of wait that is cannot be asked of Effect. Each kind registers its
// callback with a function of its own, though, so one of each kind is started
// beforehand and the text of its function remembered.

import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import { Names } from "./recorder.ts"
import type { AnyFiber, Observer } from "./scheduler.ts"

/** What one fiber waits for when nothing can run any more. */
export interface Wait {
  readonly fiber: number
  /** Names that the program gave, spans and functions that it is in, from the outside in. */
  readonly within: ReadonlyArray<string>
  /** What it waits for. */
  readonly for: string
  /** Fibers whose end it waits for. */
  readonly fibers: ReadonlyArray<number>
}

/** The text of the function with which a primitive that suspends registers its callback. */
const registration = (primitive: object | undefined): string | undefined =>
  primitive !== undefined && "register" in primitive && typeof primitive.register === "function"
    ? primitive.register.toString()
    : undefined

interface Watched {
  readonly tracer: Tracer.Tracer
  readonly last: Map<AnyFiber, object>
}

const watching = (evaluating: (fiber: AnyFiber) => void = () => {}): Watched => {
  const last = new Map<AnyFiber, object>()
  const tracer = Tracer.make({
    span: (options) => new Tracer.NativeSpan(options),
    context: (primitive, fiber) => {
      last.set(fiber, primitive)
      evaluating(fiber)
      return primitive["~effect/Effect/evaluate"](fiber)
    }
  })
  return { tracer, last }
}

const kinds: ReadonlyArray<readonly [name: string, wait: Effect.Effect<unknown>]> = [
  ["a permit of a Semaphore", Effect.suspend(() => Semaphore.makeUnsafe(0).take(1))],
  ["a Deferred to be completed", Effect.suspend(() => Deferred.await(Deferred.makeUnsafe<void>()))],
  ["a Latch to open", Effect.suspend(() => Latch.makeUnsafe(false).await)],
  ["something in a Queue", Effect.flatMap(Queue.unbounded<void>(), Queue.take)],
  [
    "room in a Queue",
    Effect.flatMap(Queue.bounded<number>(1), (queue) => Effect.andThen(Queue.offer(queue, 1), Queue.offer(queue, 2)))
  ],
  ["room in a Queue", Effect.flatMap(Queue.bounded<number>(1), (queue) => Queue.offerAll(queue, [1, 2]))],
  [
    "something in a PubSub",
    Effect.scoped(Effect.flatMap(PubSub.unbounded<void>(), (hub) => Effect.flatMap(PubSub.subscribe(hub), PubSub.take)))
  ],
  ["nothing that could come (Effect.never)", Effect.never]
]

const learnKinds = (): ReadonlyMap<string, string> => {
  const known = new Map<string, string>()
  for (const [name, wait] of kinds) {
    const { last, tracer } = watching()
    const fiber = Effect.runForkWith(Context.make(Tracer.Tracer, tracer))(wait)
    const text = registration(last.get(fiber))
    if (text !== undefined && fiber.pollUnsafe() === undefined) known.set(text, name)
    fiber.interruptUnsafe()
  }
  return known
}

let known: ReadonlyMap<string, string> | undefined

const shorten = (text: string): string => {
  const line = text.replace(/\s+/g, " ")
  return line.length <= 100 ? line : `${line.slice(0, 99)}…`
}

const kindOf = (primitive: object | undefined): string => {
  const text = registration(primitive)
  if (text === undefined) return "its turn"
  known ??= learnKinds()
  return known.get(text) ?? `a callback: ${shorten(text)}`
}

const withinOf = (fiber: AnyFiber): ReadonlyArray<string> => {
  const within: Array<string> = [...fiber.getRef(Names)]
  const spans: Array<string> = []
  for (let span = fiber.cache.span; span?._tag === "Span"; span = span.parent.valueOrUndefined) spans.unshift(span.name)
  for (let frame = fiber.cache.stackFrame; frame !== undefined; frame = frame.parent) {
    // A function made by `Effect.fn` has a frame for where it is called and one for where it is defined.
    const name = frame.name.replace(/ \(definition\)$/, "")
    if (!spans.includes(name)) spans.unshift(name)
  }
  return [...spans, ...within]
}

const nameOf = (fiber: number | undefined): string =>
  fiber === undefined ? "a fiber that has not begun" : fiber === 0 ? "main" : `fiber ${fiber}`

interface Observable {
  addObserver: AnyFiber["addObserver"]
}

/** Watches one run. `close` has to be called after it. */
export const watch = (): {
  readonly observer: Observer
  readonly waits: () => ReadonlyArray<Wait>
  readonly close: () => void
} => {
  const awaited = new Map<AnyFiber, Set<AnyFiber>>()
  let waits: ReadonlyArray<Wait> = []
  const { last, tracer } = watching((fiber) => void awaited.delete(fiber))
  // Who waits for a fiber observes it; the observer does not say whose it is, but it is added by the fiber that runs.
  const prototype: Observable = Object.getPrototypeOf(Effect.runFork(Effect.void))
  const { addObserver } = prototype
  prototype.addObserver = function (this: AnyFiber, callback) {
    const current = Fiber.getCurrent()
    if (current !== undefined && current !== this) {
      awaited.set(current, (awaited.get(current) ?? new Set()).add(this))
    }
    return addObserver.call(this, callback)
  }
  const ended = (fibers: ReadonlyMap<AnyFiber, number>): void => {
    waits = [...fibers].flatMap(([fiber, index]) => {
      if (fiber.pollUnsafe() !== undefined) return []
      const others = [...(awaited.get(fiber) ?? [])].filter((other) => other.pollUnsafe() === undefined)
      const indices = others.map((other) => fibers.get(other))
      return [
        {
          fiber: index,
          within: withinOf(fiber),
          for: others.length === 0 ? kindOf(last.get(fiber)) : `the end of ${indices.map(nameOf).join(", ")}`,
          fibers: indices.filter((other) => other !== undefined)
        }
      ]
    })
  }
  return {
    observer: { context: Context.make(Tracer.Tracer, tracer), ended },
    waits: () => waits,
    close: () => {
      prototype.addObserver = addObserver
    }
  }
}

/** As a sentence for each fiber. */
export const describeWait = (wait: Wait): string => {
  const within = wait.within.length === 0 ? "" : ` within ${wait.within.join(" › ")}`
  return `${nameOf(wait.fiber)} waits${within} for ${wait.for}`
}
