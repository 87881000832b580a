// What a variable may say, and how it is told when it says something else.
import { isIP } from "node:net"

export interface Kind<A> {
  readonly allowed: string
  readonly parse: (raw: string) => A | undefined
}

export const whole = (least: number, most: number) => ({
  allowed: `a whole number from ${least} to ${most}`,
  parse: (raw: string): number | undefined => {
    const value = Number(raw)
    return /^\d+$/.test(raw) && value >= least && value <= most ? value : undefined
  }
})

export const oneOf = <const A extends string>(...values: ReadonlyArray<A>) => ({
  allowed: `one of ${values.join(", ")}`,
  parse: (raw: string): A | undefined => values.find((value) => value.toLowerCase() === raw.toLowerCase())
})

export const text = (least: number) => ({
  allowed: least === 1 ? "any text" : `at least ${least} characters`,
  parse: (raw: string): string | undefined => (raw.length >= least ? raw : undefined)
})

export const httpUrl = {
  allowed: "an http or https URL",
  parse: (raw: string): string | undefined =>
    URL.canParse(raw) && /^https?:$/.test(new URL(raw).protocol) ? raw.replace(/\/+$/, "") : undefined
}

export const origins = {
  allowed: "origins separated by commas, or *",
  parse: (raw: string): ReadonlyArray<string> | undefined => {
    const values = raw.split(",").map((origin) => origin.trim())
    return values.every((origin) => origin === "*" || (URL.canParse(origin) && new URL(origin).origin === origin))
      ? values
      : undefined
  }
}

/** Words separated by commas or plus signs. */
export const words = {
  allowed: "words separated by commas",
  parse: (raw: string): ReadonlyArray<string> | undefined => {
    const values = raw.split(/[,+]/).map((word) => word.trim())
    return values.every((word) => /^\w+$/.test(word)) ? values : undefined
  }
}

export const redisUrl = {
  allowed: "a redis or rediss URL",
  parse: (raw: string): string | undefined =>
    URL.canParse(raw) && /^rediss?:$/.test(new URL(raw).protocol) ? raw : undefined
}

export const headerName = {
  allowed: "the name of a header",
  parse: (raw: string): string | undefined => (/^[\w-]+$/.test(raw) ? raw.toLowerCase() : undefined)
}

/** Addresses and networks, such as 10.0.0.0/8. */
export const networks = {
  allowed: "IP addresses or networks such as 10.0.0.0/8, separated by commas",
  parse: (raw: string): ReadonlyArray<string> | undefined => {
    const values = raw.split(",").map((value) => value.trim())
    return values.every(isNetwork) ? values : undefined
  }
}

const isNetwork = (value: string): boolean => {
  const [address = "", bits, more] = value.split("/")
  const version = isIP(address)
  if (version === 0 || more !== undefined) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}
