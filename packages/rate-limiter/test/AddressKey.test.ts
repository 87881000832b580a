import { describe, expect, it } from "@effect/vitest"
import { AddressKey } from "@sluice/rate-limiter"
import { Effect } from "effect"
import * as fc from "fast-check"

describe("AddressKey", () => {
  it.each([
    ["2001:db8::1", undefined, "2001:db8::/64"],
    ["2001:0DB8:0000:0000:ffff::1", undefined, "2001:db8::/64"],
    ["2001:db8:1:2:3:4:5:6", undefined, "2001:db8:1:2::/64"],
    ["2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"],
    ["2001:db8:1:2ff:3:4:5:6", 56, "2001:db8:1:200::/56"],
    ["[2001:db8::1]", 128, "2001:db8::1"],
    ["fe80::1%eth0", undefined, "fe80::/64"],
    ["::", 128, "::"],
    ["::1", 128, "::1"],
    ["1:0:0:2:0:0:0:3", 128, "1:0:0:2::3"],
    ["64:ff9b::192.0.2.33", 128, "64:ff9b::c000:221"],
    ["::ffff:192.0.2.1", undefined, "192.0.2.1"],
    ["::FFFF:c000:0201", undefined, "192.0.2.1"],
    ["[::ffff:192.0.2.1]", undefined, "192.0.2.1"],
    ["192.0.2.1", undefined, "192.0.2.1"]
  ] as const)("makes of %s, with %s bits, %s", (address, ipv6Prefix, key) => {
    expect(AddressKey.makeUnsafe(address, { ipv6Prefix })).toBe(key)
  })

  it("makes networks of IPv4 addresses, if asked", () => {
    expect(AddressKey.makeUnsafe("198.51.100.77", { ipv4Prefix: 24 })).toBe("198.51.100.0/24")
    expect(AddressKey.makeUnsafe("::ffff:198.51.100.77", { ipv4Prefix: 20 })).toBe("198.51.96.0/20")
  })

  it.effect.each([
    "",
    "localhost",
    "1.2.3",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4:80",
    "1::2::3",
    ":::",
    "12345::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "::1.2.3",
    "1.2.3.4::",
    "[::1]:80",
    "x".repeat(65)
  ])("refuses %j with an error that names it", (address) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(AddressKey.make(address))
      expect(error._tag).toBe("@sluice/rate-limiter/InvalidAddress")
      expect(error.message).toContain(`Cannot read ${JSON.stringify(address.slice(0, 64))} as an IP address: it is`)
    })
  )

  it.each([0, 129, 63.5, Number.NaN])("refuses a prefix of %d bits", (ipv6Prefix) => {
    expect(() => AddressKey.makeUnsafe("::1", { ipv6Prefix })).toThrow(`ipv6Prefix ${ipv6Prefix}`)
  })

  /** Models an address as its eight groups: however they are written the key is the same, and its own key. */
  it("makes the same key however an address is written", () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), fc.boolean(), (groups, isUpper) => {
        const long = groups.map((part) => part.toString(16).padStart(4, "0")).join(":")
        const key = AddressKey.makeUnsafe(isUpper ? long.toUpperCase() : long, { ipv6Prefix: 128 })
        expect(AddressKey.makeUnsafe(key, { ipv6Prefix: 128 })).toBe(key)
        if (key.includes(".")) return
        expect(key).toBe(new URL(`http://[${long}]`).hostname.slice(1, -1))
      })
    )
  })
})
