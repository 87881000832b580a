// The addresses that proxies have noted, from the first to the last.

/** The `for` of each element of `Forwarded`, which may be quoted, in brackets, and have a port. */
const ofForwarded = (field: string): Array<string> =>
  field.split(",").map((element) => {
    const pair = element.split(";").find((part) => /^\s*for\s*=/i.test(part))
    const value = pair?.slice(pair.indexOf("=") + 1).trim() ?? ""
    return withoutPort(value.replace(/^"(.*)"$/, "$1"))
  })

const withoutPort = (node: string): string => {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(node)?.[1]
  if (bracketed !== undefined) return bracketed
  return /^[^:]*:\d+$/.test(node) ? node.slice(0, node.indexOf(":")) : node
}

export const forwardedFor = (headers: Readonly<Record<string, string | undefined>>): Array<string> => {
  const forwarded = headers["forwarded"]
  if (forwarded !== undefined) return ofForwarded(forwarded)
  const old = headers["x-forwarded-for"]
  return old === undefined ? [] : old.split(",").map((address) => withoutPort(address.trim()))
}
