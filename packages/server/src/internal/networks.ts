// Networks by prefix. Two addresses are in one network of so many bits if they have
// the same key at that prefix.

import { AddressKey } from "@sluice/rate-limiter"

interface Network {
  readonly key: string
  readonly options: AddressKey.Options
}

const parse = (network: string): Network => {
  const [address = "", prefix] = network.split("/")
  const isV6 = address.includes(":")
  const bits = prefix === undefined ? (isV6 ? 128 : 32) : Number(prefix)
  const options = isV6 ? { ipv6Prefix: bits } : { ipv4Prefix: bits }
  try {
    return { key: AddressKey.makeUnsafe(address, options), options }
  } catch (error) {
    throw new RangeError(
      `Cannot trust ${JSON.stringify(network)}: an IP address or a network such as 10.0.0.0/8 is needed (${error instanceof Error ? error.message : String(error)})`
    )
  }
}

/** Tells whether an address is in one of the networks. */
export const makeNetworks = (networks: ReadonlyArray<string>): ((address: string) => boolean) => {
  const parsed = networks.map(parse)
  return (address) =>
    parsed.some(({ key, options }) => {
      try {
        return AddressKey.makeUnsafe(address, options) === key
      } catch {
        return false
      }
    })
}
