/**
 * How many requests a client may have in flight, learned from how the API takes
 * them: it falls when the API says 429 or 503, stops answering in time or grows
 * slow, and rises again while all goes well.
 *
 * @module
 */

/** What the limit of a client is doing right now. */
export interface LimitStats {
  /** Requests that may be in flight. */
  readonly limit: number
  /** The most that it can be: the client's `maxConnections`. */
  readonly maximum: number
  readonly inFlight: number
  readonly waiting: number
  /** Times that it fell because the API refused a request, or did not answer in time. */
  readonly fellForRefusal: number
  /** Times that it fell because the API had become slow. */
  readonly fellForLatency: number
}
