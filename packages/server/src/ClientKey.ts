/**
 * Who a request is from, for limits by client: the peer's address, or what proxies
 * that are trusted say of it, or an API key.
 *
 * @module
 */
import { AddressKey } from "@sluice/rate-limiter"
import { forwardedFor } from "./internal/forwarded.ts"
import { makeNetworks } from "./internal/networks.ts"

export interface Options {
  /**
   * The proxies whose forwarding headers are believed: addresses and networks such as `10.0.0.0/8`. Default none: only the
   * peer's own address counts, since anybody can write a header.
   */
  readonly trustedProxies?: ReadonlyArray<string> | undefined
  /** A header whose value is the client where it is present, such as `x-api-key`. Default none. */
  readonly apiKeyHeader?: string | undefined
  /** Bits of an IPv6 address that name a client. Default 64: the network of one home. */
  readonly ipv6Prefix?: number | undefined
}

/** What is known of a request. */
export interface RequestFacts {
  /** The address of the peer; unset where the runtime does not tell it. */
  readonly remoteAddress: string | undefined
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** The longest API key that is kept as a key; longer ones are taken for what they begin with. */
const maxKeyLength = 256

/** Addresses whose key is kept, since a client comes again. */
const maxKnown = 10_000

/** The longest text of an IPv6 address with an IPv4 part and a zone is shorter. */
const maxAddressLength = 64

/** What is said where nothing is known. */
const unknown = "unknown"

/**
 * Makes the function from a request to its client.
 *
 * **Details**
 *
 * `Forwarded` (RFC 7239) and, where it is absent, `X-Forwarded-For` are read from the right: each address that is a trusted
 * proxy's is passed over, and the first that is not is the client. What a client writes itself stands further left and is
 * never reached. A name that is no address, as RFC 7239 allows, ends the search at the proxy that wrote it. IPv6 addresses
 * count by their network. Costs O(length of the headers). Throws a `RangeError` for a network that is none.
 *
 * @example
 * ```ts
 * import { ClientKey } from "@sluice/server"
 *
 * const keyOf = ClientKey.make({ trustedProxies: ["10.0.0.0/8"] })
 * const headers = { "x-forwarded-for": "1.2.3.4, 203.0.113.7, 10.1.1.1" }
 * console.log(keyOf({ remoteAddress: "10.9.9.9", headers })) // => 203.0.113.7
 * console.log(keyOf({ remoteAddress: "198.51.100.2", headers })) // => 198.51.100.2
 * ```
 */
export const make = (options: Options = {}): ((request: RequestFacts) => string) => {
  const { apiKeyHeader, ipv6Prefix = 64, trustedProxies = [] } = options
  const isTrusted = makeNetworks(trustedProxies)
  const header = apiKeyHeader?.toLowerCase()
  const known = new Map<string, string | undefined>()
  const keyOf = (address: string): string | undefined => {
    const kept = known.get(address)
    if (kept !== undefined || known.has(address)) return kept
    const key = read(address)
    if (known.size === maxKnown) known.clear()
    // What is longer is no address, and not worth the room.
    if (address.length <= maxAddressLength) known.set(address, key)
    return key
  }
  const read = (address: string): string | undefined => {
    try {
      return AddressKey.makeUnsafe(address, { ipv6Prefix })
    } catch (error) {
      if (error instanceof AddressKey.InvalidAddress) return undefined
      throw error
    }
  }
  // An option that makes no sense is told of now, and not at the first request.
  AddressKey.makeUnsafe("::1", { ipv6Prefix })
  // Headers are looked at only where they count: to read those of Node is to parse them.
  return (request) => {
    const apiKey = header === undefined ? undefined : request.headers[header]
    if (apiKey !== undefined && apiKey !== "") return `key:${apiKey.slice(0, maxKeyLength)}`
    const { remoteAddress } = request
    if (remoteAddress === undefined) return unknown
    let client = remoteAddress
    if (isTrusted(client)) {
      for (const address of forwardedFor(request.headers).reverse()) {
        if (keyOf(address) === undefined) break
        client = address
        if (!isTrusted(address)) break
      }
    }
    return keyOf(client) ?? unknown
  }
}
