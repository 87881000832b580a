/**
 * Who asks, and what he may do.
 *
 * A person is known by a key of his own, of which the file of users has the digest
 * alone, or by the header of a proxy that has asked him for his name.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { BlockList, isIPv6 } from "node:net"
import { Schema } from "effect"
import { sameKey } from "./internal/keys.ts"

/** From the least to the most that a person may do. */
export const ROLES = ["officer", "head", "admin"] as const
export type Role = (typeof ROLES)[number]

export interface Person {
  readonly name: string
  readonly role: Role
}

/** Whether a role may do what asks for another. */
export const mayAs = (role: Role, needed: Role): boolean => ROLES.indexOf(role) >= ROLES.indexOf(needed)

const User = Schema.Struct({
  name: Schema.NonEmptyString.check(Schema.isMaxLength(100)),
  role: Schema.Literals(ROLES),
  key_sha256: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))
})
export type User = typeof User.Type

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(User)))

export const USERS_ALLOWED = `a file with a JSON list of {"name", "role": ${ROLES.join(" or ")}, "key_sha256"}`

/** The users of a file, or what is wrong with it. */
export const readUsers = (path: string): ReadonlyArray<User> | string => {
  try {
    const users = decode(readFileSync(path, "utf8"))
    return users.length === 0 ? "it names nobody" : users
  } catch (error) {
    return error instanceof Error ? error.message.split("\n").join(" ") : String(error)
  }
}

const digest = (key: string): string => createHash("sha256").update(key, "utf8").digest("hex")

/** A new user, and the key that he is told and nobody else. Keys have 192 bits, so a plain digest gives none away. */
export const newUser = (name: string, role: Role): { readonly user: User; readonly key: string } => {
  const key = randomBytes(24).toString("base64url")
  return { user: { name, role, key_sha256: digest(key) }, key }
}

export interface Credentials {
  /** What was given as a key; empty for none. */
  readonly key: string
  readonly peer: string | undefined
  readonly headers: Readonly<Record<string, string | undefined>>
}

export interface Options {
  readonly apiKey: string | undefined
  readonly users: ReadonlyArray<User>
  readonly trusted: ReadonlyArray<string>
  readonly userHeader: string | undefined
  readonly roleHeader: string
}

const family = (address: string) => (isIPv6(address) ? "ipv6" : "ipv4")

/** Whether an address is one of these, or in one of these networks. */
export const within = (networks: ReadonlyArray<string>): ((address: string | undefined) => boolean) => {
  const list = new BlockList()
  for (const network of networks) {
    const [address = "", bits] = network.split("/")
    if (bits === undefined) list.addAddress(address, family(address))
    else list.addSubnet(address, Number(bits), family(address))
  }
  return (address) => {
    if (address === undefined || networks.length === 0) return false
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, "")
    return list.check(plain, family(plain))
  }
}

const NAME_MOST = 100
/** What everyone is where nobody is asked for a key. */
const ANYONE: Person = { name: "anyone", role: "admin" }

/** Tells who somebody is; `undefined` for nobody who is known. */
export const identifier = (options: Options): ((credentials: Credentials) => Person | undefined) => {
  const { apiKey, roleHeader, userHeader, users } = options
  const isTrusted = within(options.trusted)
  const isOpen = apiKey === undefined && users.length === 0 && userHeader === undefined

  const ofProxy = ({ headers, peer }: Credentials): Person | undefined => {
    const name = userHeader === undefined || !isTrusted(peer) ? undefined : headers[userHeader]
    if (name === undefined || name === "") return undefined
    const named = headers[roleHeader] ?? "officer"
    const role = ROLES.find((role) => role === named)
    return role === undefined ? undefined : { name: name.slice(0, NAME_MOST), role }
  }
  const ofKey = (key: string): Person | undefined => {
    if (key === "") return undefined
    if (apiKey !== undefined && sameKey(key, apiKey)) return { name: "api-key", role: "admin" }
    const given = digest(key)
    // Every one is compared, so that the time does not tell whose key comes near.
    const known = users.filter(({ key_sha256 }) => sameKey(given, key_sha256))
    return known.map(({ name, role }) => ({ name, role }))[0]
  }
  return (credentials) => (isOpen ? ANYONE : (ofProxy(credentials) ?? ofKey(credentials.key)))
}
