/**
 * How long: a number of milliseconds, or words.
 *
 * @module
 */

/** A unit of time, in words. */
export type Unit = "millis" | "second" | "seconds" | "minute" | "minutes" | "hour" | "hours"

/** Milliseconds, or words such as `"30 seconds"`. */
export type Duration = number | `${number} ${Unit}`
