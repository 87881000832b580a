import { ClientKey } from "@sluice/server"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

const keyOf = ClientKey.make({ trustedProxies: ["10.0.0.0/8", "2001:db8::/32"] })

describe("a client's key", () => {
  it("is the peer's address, whatever headers say, where the peer is no trusted proxy", () => {
    const headers = { "x-forwarded-for": "1.1.1.1", forwarded: "for=2.2.2.2" }
    expect(keyOf({ remoteAddress: "203.0.113.7", headers })).toBe("203.0.113.7")
    expect(ClientKey.make()({ remoteAddress: "10.0.0.1", headers })).toBe("10.0.0.1")
  })

  it.each([
    [{ "x-forwarded-for": "203.0.113.7" }, "203.0.113.7"],
    [{ "x-forwarded-for": "6.6.6.6, 203.0.113.7, 10.1.2.3" }, "203.0.113.7"],
    [{ "x-forwarded-for": "203.0.113.7:4711" }, "203.0.113.7"],
    [{ forwarded: 'for=6.6.6.6, for="[2001:db9::17]:4711";proto=https;by=10.0.0.2' }, "2001:db9::/64"],
    [{ forwarded: "For=203.0.113.7;by=10.0.0.2, for=10.1.1.1" }, "203.0.113.7"],
    // RFC 7239 lets a proxy hide its client behind a name: then the proxy is all that is known.
    [{ forwarded: "for=203.0.113.7, for=_hidden" }, "10.0.0.1"],
    [{ "x-forwarded-for": "unknown" }, "10.0.0.1"],
    [{ "x-forwarded-for": "" }, "10.0.0.1"],
    [{}, "10.0.0.1"],
    // All of them are proxies: the first of them is the client.
    [{ "x-forwarded-for": "10.5.5.5, 10.6.6.6" }, "10.5.5.5"]
  ])("behind a trusted proxy that says %o is %s", (headers, key) => {
    expect(keyOf({ remoteAddress: "10.0.0.1", headers })).toBe(key)
  })

  it("is the network of an IPv6 address, and the IPv4 address that is mapped into one", () => {
    expect(keyOf({ remoteAddress: "2001:db9:1:2:3:4:5:6", headers: {} })).toBe("2001:db9:1:2::/64")
    expect(keyOf({ remoteAddress: "::ffff:203.0.113.7", headers: {} })).toBe("203.0.113.7")
  })

  it("is the API key where there is one, cut where it is too long", () => {
    const withKeys = ClientKey.make({ apiKeyHeader: "X-API-Key" })
    expect(withKeys({ remoteAddress: "1.1.1.1", headers: { "x-api-key": "abc" } })).toBe("key:abc")
    expect(withKeys({ remoteAddress: "1.1.1.1", headers: { "x-api-key": "" } })).toBe("1.1.1.1")
    expect(withKeys({ remoteAddress: "1.1.1.1", headers: { "x-api-key": "x".repeat(9999) } })).toHaveLength(260)
  })

  it("is one for all of whom nothing is known", () => {
    expect(keyOf({ remoteAddress: undefined, headers: { "x-forwarded-for": "1.1.1.1" } })).toBe("unknown")
    expect(keyOf({ remoteAddress: "no address", headers: {} })).toBe("unknown")
  })

  /** Models a client that writes what it likes before the one address that its proxy adds. */
  it("cannot be chosen by what the client writes", () =>
    fc.assert(
      fc.property(fc.string(), fc.constantFrom("x-forwarded-for", "forwarded"), (written, name) => {
        const added = name === "forwarded" ? "for=203.0.113.7" : "203.0.113.7"
        const headers = { [name]: `${written}, ${added}` }
        expect(keyOf({ remoteAddress: "10.0.0.1", headers })).toBe("203.0.113.7")
      }),
      { numRuns: 500 }
    ))

  it("is made only with networks that there are", () => {
    for (const network of ["10.0.0.0/33", "nowhere", "10.0.0.0/x", ""]) {
      expect(() => ClientKey.make({ trustedProxies: [network] })).toThrow(`Cannot trust ${JSON.stringify(network)}`)
    }
    expect(() => ClientKey.make({ ipv6Prefix: 0 })).toThrow("ipv6Prefix 0")
  })
})
