// Several limits as one: a cost is free when it is free of all, and is taken from all
// in the same primitive. Once free of one limit a cost stays so while nothing else is
// taken, so the latest of the times at which each is free is the time for all.

import type { MeterOf } from "./algorithms.ts"
import type { Ahead, Meter, Refund, Shape } from "./meter.ts"

/** A meter together with its state, whatever that is. */
export interface Cell {
  readonly shape: Shape
  readonly copy: () => Cell
  readonly earliest: (from: number, cost: number) => number
  readonly commit: (at: number, cost: number) => void
  readonly adjust: (now: number, delta: number, ahead: Ahead) => void
  readonly remaining: (now: number) => number
  readonly freeAt: () => number
  /** The same with another shape, with as much taken. */
  readonly reshape: (shape: Shape, now: number) => Cell
}

export const makeCell = <S>(meterOf: MeterOf<S>, shape: Shape, initial?: S): Cell => {
  const meter = meterOf(shape)
  let state = initial ?? meter.none()
  return {
    shape,
    copy: () => makeCell(meterOf, shape, meter.copy(state)),
    earliest: (from, cost) => meter.earliest(state, from, cost),
    commit: (at, cost) => {
      state = meter.commit(state, at, cost)
    },
    adjust: (now, delta, ahead) => {
      state = meter.adjust(state, now, delta, ahead)
    },
    remaining: (now) => meter.remaining(state, now),
    freeAt: () => meter.freeAt(state),
    reshape: (next, now) => makeCell(meterOf, next, meterOf(next).adopt(state, shape, now))
  }
}

export type Cells = ReadonlyArray<Cell>
export type Costs = ReadonlyArray<number>

const nothing: Costs = []

/** Of all cells at once; a cell that costs nothing is not touched. Nothing is committed ahead of time. */
export const cellsMeter = (none: () => Cells): Meter<Cells, Costs> => ({
  none,
  copy: (cells) => cells.map((cell) => cell.copy()),
  earliest: (cells, from, costs) =>
    cells.reduce((latest, cell, index) => {
      const cost = costs[index] ?? 0
      return cost > 0 ? Math.max(latest, cell.earliest(from, cost)) : latest
    }, from),
  behind: () => undefined,
  commit: (cells, at, costs) => {
    for (const [index, cell] of cells.entries()) {
      const cost = costs[index] ?? 0
      if (cost > 0) cell.commit(at, cost)
    }
    return cells
  },
  cancel: (cells): Refund<Cells, Costs> => ({ state: cells, given: nothing }),
  adjust: (cells, now, deltas, ahead) => {
    for (const [index, cell] of cells.entries()) {
      const delta = deltas[index] ?? 0
      if (delta !== 0) cell.adjust(now, delta, ahead)
    }
    return cells
  }
})
