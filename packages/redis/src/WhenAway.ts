/**
 * What a limit does when Redis is away.
 *
 * @module
 */

/**
 * What a limit does when Redis is away.
 *
 * - `failClosed`: nothing goes without Redis; it fails with `RedisAway`. Holders go on until their lease could have ended.
 * - `failOpen`: everything goes, unlimited, until Redis is back.
 * - `localShare`: each process holds itself to its share, the limit divided by the processes that were last known. A
 *   share of permits is rounded down, but never below one: more processes than permits exceed the limit.
 *
 * With the last two, holders are not interrupted while Redis is away, and what was let through without Redis is not
 * counted when it comes back, until it ends.
 */
export type WhenAway = "failClosed" | "failOpen" | "localShare"
