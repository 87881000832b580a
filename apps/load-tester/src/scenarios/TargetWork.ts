// Work whose iteration is one request. Nothing is allocated for an iteration:
// each lane has its receiver, each target is bytes that are ready.

import type { Lane, Work } from "../engine/Load.ts"
import type { Receiver } from "../protocols/Exchange.ts"
import type { Call, Network } from "../protocols/Network.ts"
import type { Recorder } from "../results/Recorder.ts"
import { protocolOf } from "./http.ts"
import type { Target } from "./Targets.ts"

/**
 * The order in which targets are sent: each as often as its weight says, and spread evenly. Smooth weighted round-robin: each
 * turn, every target gains its weight, and the one that has most pays for all.
 */
export const turns = (weights: ReadonlyArray<number>): (() => number) => {
  if (weights.length === 1) return () => 0
  const sum = weights.reduce((all, weight) => all + weight, 0)
  if (weights.every((weight) => weight === weights[0])) {
    let turn = -1
    return () => {
      turn = turn + 1 === weights.length ? 0 : turn + 1
      return turn
    }
  }
  const credit = weights.map(() => 0)
  return () => {
    let best = 0
    for (const [index, weight] of weights.entries()) {
      credit[index] = (credit[index] ?? 0) + weight
      if ((credit[index] ?? 0) > (credit[best] ?? 0)) best = index
    }
    credit[best] = (credit[best] ?? 0) - sum
    return best
  }
}

export interface Options {
  readonly scenario: string
  readonly targets: ReadonlyArray<Target>
  readonly network: Network
  readonly recorder: Recorder
}

export const make = ({ network, recorder, scenario, targets }: Options): Work => {
  const number = recorder.scenario(scenario)
  const calls = targets.map(({ body, headers, method, name, url: address }): Call => {
    const url = new URL(address)
    return network.prepare(
      { method, url, headers, body: body === undefined ? undefined : Buffer.from(body, "base64") },
      recorder.step(number, name, protocolOf(url))
    )
  })
  const next = turns(targets.map(({ weight }) => weight))
  const receivers: Array<Receiver> = []
  const receiverOf = (lane: Lane): Receiver => {
    const known = receivers[lane.id]
    if (known !== undefined) return known
    const receiver: Receiver = { keepsAnswer: false, counts: true, ended: lane.ended }
    receivers[lane.id] = receiver
    return receiver
  }
  return {
    begin: (lane) => {
      lane.scenario = number
      calls[next()]?.send(lane.scheduledAt, receiverOf(lane))
    },
    dropped: () => number,
    close: () => network.close()
  }
}
