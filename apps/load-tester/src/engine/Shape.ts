/**
 * How much load there is to be at each moment: a rate of arrivals, or a number of users.
 *
 * A shape is pieces in a row. Each piece knows its level at a moment, how much has come by then, and when so much will have
 * come; the last two are what arrivals are planned with, in closed form where there is one, so that a plan of a million
 * arrivals does not drift from its rate.
 *
 * @module
 */

/** A level that changes evenly from one value to another. */
export interface Linear {
  readonly kind: "linear"
  readonly seconds: number
  readonly from: number
  readonly to: number
}

/** A level that swings about a mean, beginning there and rising. */
export interface Sine {
  readonly kind: "sine"
  readonly seconds: number
  readonly mean: number
  /** At most the mean, since there is no negative load. */
  readonly amplitude: number
  readonly periodSeconds: number
}

/** All at once, and nothing after it. */
export interface Burst {
  readonly kind: "burst"
  readonly seconds: number
  readonly size: number
}

export type Piece = Linear | Sine | Burst

export type Shape = ReadonlyArray<Piece>

const swing = (piece: Sine, at: number): number =>
  ((piece.amplitude * piece.periodSeconds) / (2 * Math.PI)) * (1 - Math.cos((2 * Math.PI * at) / piece.periodSeconds))

/** How much has come of a piece by `at` seconds into it. */
export const areaUntil = (piece: Piece, at: number): number => {
  switch (piece.kind) {
    case "linear":
      return at * (piece.from + ((piece.to - piece.from) * at) / (2 * piece.seconds))
    case "sine":
      return piece.mean * at + swing(piece, at)
    case "burst":
      return piece.size
  }
}

/** How much comes of a piece in all. */
export const areaOf = (piece: Piece): number =>
  piece.seconds > 0 || piece.kind === "burst" ? areaUntil(piece, piece.seconds) : 0

// The swing has no inverse in closed form. Its derivative may be zero, so each step that leaves the bracket halves it instead.
const sineAt = (piece: Sine, area: number): number => {
  let low = 0
  let high = piece.seconds
  let at = Math.min(high, area / Math.max(piece.mean, Number.MIN_VALUE))
  for (let step = 0; step < 60 && high - low > 1e-9; step++) {
    const excess = areaUntil(piece, at) - area
    if (excess > 0) high = at
    else low = at
    const slope = piece.mean + piece.amplitude * Math.sin((2 * Math.PI * at) / piece.periodSeconds)
    const next = at - excess / slope
    at = next > low && next < high ? next : (low + high) / 2
    if (Math.abs(excess) < 1e-9) break
  }
  return at
}

/** When so much of a piece has come, in seconds into it; `area` is less than all of it. */
export const timeOf = (piece: Piece, area: number): number => {
  switch (piece.kind) {
    case "linear": {
      // This form of the root loses nothing where the slope is small, and is the quotient where it is zero.
      const slope = (piece.to - piece.from) / piece.seconds
      const root = Math.sqrt(Math.max(0, piece.from * piece.from + 2 * slope * area))
      return area === 0 ? 0 : Math.min(piece.seconds, (2 * area) / (piece.from + root))
    }
    case "sine":
      return sineAt(piece, area)
    case "burst":
      return 0
  }
}

const levelIn = (piece: Piece, at: number): number => {
  switch (piece.kind) {
    case "linear":
      return piece.from + ((piece.to - piece.from) * at) / piece.seconds
    case "sine":
      return piece.mean + piece.amplitude * Math.sin((2 * Math.PI * at) / piece.periodSeconds)
    case "burst":
      // As a number of users a burst is half of its time at its size, and half at rest.
      return at * 2 < piece.seconds ? piece.size : 0
  }
}

/** How long a shape lasts. */
export const secondsOf = (shape: Shape): number => shape.reduce((sum, { seconds }) => sum + seconds, 0)

/** How much comes of a shape in all. */
export const totalOf = (shape: Shape): number => shape.reduce((sum, piece) => sum + areaOf(piece), 0)

/** The level at a moment; after the end, zero. O(pieces). */
export const levelAt = (shape: Shape, seconds: number): number => {
  let begins = 0
  for (const piece of shape) {
    if (seconds < begins + piece.seconds) return levelIn(piece, seconds - begins)
    begins += piece.seconds
  }
  return 0
}

const peakIn = (piece: Piece): number => {
  switch (piece.kind) {
    case "linear":
      return piece.seconds > 0 ? Math.max(piece.from, piece.to) : 0
    case "sine":
      return piece.mean + piece.amplitude
    case "burst":
      return piece.size
  }
}

/** The highest level that is reached. */
export const peakOf = (shape: Shape): number => shape.reduce((peak, piece) => Math.max(peak, peakIn(piece)), 0)
