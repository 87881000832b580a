// A snapshot of a pool.

import type { AddressStats, Stats } from "../GrpcPool.ts"
import type { Address, Core } from "./core.ts"

const openOf = (address: Address): number => address.sessions.size - address.connecting + address.draining.size

const stateOf = (address: Address): AddressStats["state"] => {
  if (address.isRemoved) return "draining"
  if (address.isFailed) return "failed"
  if (!address.isServing) return "not-serving"
  if (address.sessions.size > address.connecting) return "ready"
  return address.connecting > 0 ? "connecting" : "idle"
}

const addressStats = (address: Address): AddressStats => ({
  address: address.origin,
  state: stateOf(address),
  open: openOf(address),
  streamsInUse: address.inUse,
  calls: address.calls,
  failures: address.callFailures,
  lastError: address.lastError === "" ? undefined : address.lastError
})

export const statsOf = (core: Core): Stats => {
  const addresses = [...core.addresses.values(), ...core.leaving]
  const sum = (of: (address: Address) => number): number => addresses.reduce((total, each) => total + of(each), 0)
  const { past } = core
  return {
    open: sum(openOf),
    connecting: sum((address) => address.connecting),
    streamsInUse: sum((address) => address.inUse),
    waiting: core.line.size,
    created: past.created + sum((address) => address.created),
    closed: past.closed + sum((address) => address.closed),
    calls: past.calls + sum((address) => address.calls),
    reused: past.reused + sum((address) => address.reused),
    succeeded: core.succeeded,
    failures: core.failed,
    cancelled: core.cancelled,
    addresses: addresses.map(addressStats)
  }
}
