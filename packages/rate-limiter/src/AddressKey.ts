/**
 * IP addresses as keys of a limit.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { formatV6, mask, parse } from "./internal/address.ts"

export interface Options {
  /** Bits of an IPv6 address that name a client. Default 64: a network of one home, which has them all. */
  readonly ipv6Prefix?: number | undefined
  /** Bits of an IPv4 address that name a client. Default 32: the whole address. */
  readonly ipv4Prefix?: number | undefined
}

export interface InvalidAddressFields {
  readonly address: string
  readonly reason: string
}

const InvalidAddressBase: new (
  fields: InvalidAddressFields
) => Cause.YieldableError & { readonly _tag: "@sluice/rate-limiter/InvalidAddress" } & InvalidAddressFields =
  Data.TaggedError("@sluice/rate-limiter/InvalidAddress")<InvalidAddressFields>

/** A text that is no IP address. */
export class InvalidAddress extends InvalidAddressBase {
  override get message(): string {
    return `Cannot read ${JSON.stringify(this.address.slice(0, 64))} as an IP address: ${this.reason}`
  }
}

const checkPrefix = (name: string, prefix: number, bits: number): void => {
  if (!Number.isInteger(prefix) || prefix < 1 || prefix > bits) {
    throw new RangeError(
      `Cannot make an address key with ${name} ${prefix}: a whole number from 1 to ${bits} is needed`
    )
  }
}

/**
 * The same outside of an effect: throws an `InvalidAddress` for a text that is no address, and a `RangeError` for a prefix
 * that cannot be.
 */
export const makeUnsafe = (address: string, options?: Options): string => {
  const { ipv4Prefix = 32, ipv6Prefix = 64 } = options ?? {}
  checkPrefix("ipv4Prefix", ipv4Prefix, 32)
  checkPrefix("ipv6Prefix", ipv6Prefix, 128)
  const parsed = parse(address)
  if (typeof parsed === "string") throw new InvalidAddress({ address, reason: parsed })
  if ("v4" in parsed) {
    const text = mask(parsed.v4, 8, ipv4Prefix).join(".")
    return ipv4Prefix === 32 ? text : `${text}/${ipv4Prefix}`
  }
  const text = formatV6(mask(parsed.v6, 16, ipv6Prefix))
  return ipv6Prefix === 128 ? text : `${text}/${ipv6Prefix}`
}

/**
 * The key of a client by its address: the network that an IPv6 address is in, as canonical text, and an IPv4 address as it
 * is.
 *
 * **When to use**
 *
 * For limits by address. Whoever has an IPv6 network has 2⁶⁴ addresses, and with a key for each as many bursts.
 *
 * **Details**
 *
 * However an address is written, its key is the same. An IPv4 address that is mapped into IPv6 (`::ffff:192.0.2.1`) is the
 * IPv4 address. A zone (`%eth0`) and brackets are left out; a port is not part of an address and is refused, and so are
 * numbers with leading zeros, which some read as octal.
 *
 * @example
 * ```ts
 * import { AddressKey } from "@sluice/rate-limiter"
 * import { Effect } from "effect"
 *
 * console.log(await Effect.runPromise(AddressKey.make("2001:DB8::1:0:0:17"))) // => 2001:db8::/64
 * console.log(await Effect.runPromise(AddressKey.make("::ffff:203.0.113.7"))) // => 203.0.113.7
 * console.log(AddressKey.makeUnsafe("2001:db8:77:ab::1", { ipv6Prefix: 48 })) // => 2001:db8:77::/48
 * ```
 */
export const make = (address: string, options?: Options): Effect.Effect<string, InvalidAddress> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(makeUnsafe(address, options))
    } catch (error) {
      return error instanceof InvalidAddress ? Effect.fail(error) : Effect.die(error)
    }
  })
