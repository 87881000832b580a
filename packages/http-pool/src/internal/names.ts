// Names to addresses: remembered for a while, and given out in turn.
//
// Fifty connections that open at once ask the resolver once. Each connection
// starts at another of the addresses of its name and has the rest to fall back
// on, so load spreads and a dead address costs one attempt. A name whose
// addresses all fail is asked for again.
import type { LookupAddress } from "node:dns"
import type { LookupFunction } from "node:net"
import type * as Clock from "effect/Clock"
import type { Network } from "./dial.ts"

interface Known {
  readonly addresses: Promise<ReadonlyArray<LookupAddress>>
  readonly until: number
  turn: number
}

export class Names {
  private readonly known: Map<string, Known> = new Map()
  private readonly network: Network
  private readonly clock: Clock.Clock
  private readonly ttlMillis: number
  private readonly maxNames: number

  constructor(network: Network, clock: Clock.Clock, ttlMillis: number, maxNames: number) {
    this.network = network
    this.clock = clock
    this.ttlMillis = ttlMillis
    this.maxNames = maxNames
  }

  /** What a socket calls to find its addresses. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    const known = this.find(hostname)
    const turn = known.turn++
    known.addresses.then(
      (all) => {
        const fitting =
          typeof options.family === "number" && options.family !== 0
            ? all.filter(({ family }) => family === options.family)
            : all
        const start = fitting.length === 0 ? 0 : turn % fitting.length
        const rotated = [...fitting.slice(start), ...fitting.slice(0, start)]
        const first = rotated[0]
        if (first === undefined) callback(new Error(`No address for ${hostname}`), "")
        else if (options.all === true) callback(null, rotated)
        else callback(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, "")
    )
  }

  forget(hostname: string): void {
    this.known.delete(hostname)
  }

  private find(hostname: string): Known {
    const now = this.clock.currentTimeMillisUnsafe()
    const remembered = this.known.get(hostname)
    if (remembered !== undefined && now < remembered.until) return remembered
    this.known.delete(hostname)
    for (const oldest of this.known.keys()) {
      if (this.known.size < this.maxNames) break
      this.known.delete(oldest)
    }
    const addresses = this.network.dns.lookup(hostname, { all: true })
    const known: Known = { addresses, until: now + this.ttlMillis, turn: 0 }
    this.known.set(hostname, known)
    addresses.catch(() => {
      if (this.known.get(hostname) === known) this.known.delete(hostname)
    })
    return known
  }
}
