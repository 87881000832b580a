/**
 * Requests that are the same each time, from a URL or a file of targets.
 *
 * @module
 */
import { readFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { Data } from "effect"

/** A request as a plan tells it; it can be sent to another thread or machine. */
export interface Target {
  /** What it is called in the results. Default its method and path. */
  readonly name: string
  readonly method: string
  readonly url: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  /** In base 64, since a body may be any bytes. */
  readonly body?: string | undefined
  /** How often it is sent, beside the others. */
  readonly weight: number
}

export class BadTargets extends Data.TaggedError("@sluice/load-tester/BadTargets")<{ readonly message: string }> {}

const schemes = new Set(["http:", "https:", "ws:", "wss:", "grpc:", "grpcs:"])

const checkedUrl = (text: string, where: string): URL => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !schemes.has(url.protocol)) {
    throw new BadTargets({
      message: `Cannot load ${JSON.stringify(text)}${where}: an address with http, https, ws, wss, grpc or grpcs is needed`
    })
  }
  return url
}

export interface TargetInput {
  readonly name?: string | undefined
  readonly method?: string | undefined
  readonly url: string
  readonly headers?: ReadonlyArray<readonly [name: string, value: string]> | undefined
  readonly body?: Uint8Array | undefined
  readonly weight?: number | undefined
}

const illegal = /[\r\n\0]/

/** A target, with what was left out filled in. */
export const make = ({ body, headers = [], method, name, url, weight = 1 }: TargetInput, where = ""): Target => {
  const { pathname } = checkedUrl(url, where)
  const verb = (method ?? (body === undefined ? "GET" : "POST")).toUpperCase()
  if (!/^[A-Z][A-Z-]*$/.test(verb))
    throw new BadTargets({ message: `Cannot send the method ${JSON.stringify(method)}${where}` })
  for (const [header, value] of headers) {
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(header) || illegal.test(value)) {
      throw new BadTargets({ message: `Cannot send the header ${JSON.stringify(header)}${where}` })
    }
  }
  if (!(weight > 0 && Number.isFinite(weight))) {
    throw new BadTargets({ message: `Cannot weigh ${name ?? url} as ${weight}${where}: a number above 0 is needed` })
  }
  return {
    name: name ?? `${verb} ${pathname}`,
    method: verb,
    url,
    headers,
    ...(body === undefined ? {} : { body: Buffer.from(body).toString("base64") }),
    weight
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const headersOf = (value: unknown, where: string): Array<readonly [string, string]> => {
  if (value === undefined || value === null) return []
  if (!isRecord(value)) throw new BadTargets({ message: `Cannot read the headers${where}: an object is needed` })
  return Object.entries(value).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).map((one): [string, string] => [name, String(one)])
  )
}

const bodyOf = (line: Readonly<Record<string, unknown>>): Uint8Array | undefined => {
  if (line["json"] !== undefined) return Buffer.from(JSON.stringify(line["json"]))
  const text = textOf(line["text"])
  if (text !== undefined) return Buffer.from(text)
  const body = textOf(line["body"])
  return body === undefined ? undefined : Buffer.from(body, "base64")
}

/**
 * Targets as lines of JSON: `{"method", "url", "header": {name: [values]}, "body": base 64}`, as vegeta writes them. Instead of
 * `body` there may be `text`, or `json` with any value; `name` and `weight` are ours.
 */
export const parseJsonLines = (text: string): ReadonlyArray<Target> =>
  text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return []
    const where = ` in line ${index + 1}`
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      throw new BadTargets({ message: `Cannot read${where}: it is not JSON` })
    }
    if (!isRecord(value)) throw new BadTargets({ message: `Cannot read${where}: an object is needed` })
    const headers = headersOf(value["header"] ?? value["headers"], where)
    const isTyped = headers.some(([name]) => name.toLowerCase() === "content-type")
    if (value["json"] !== undefined && !isTyped) headers.push(["content-type", "application/json"])
    const { weight } = value
    return [
      make(
        {
          name: textOf(value["name"]),
          method: textOf(value["method"]),
          url: textOf(value["url"]) ?? "",
          headers,
          body: bodyOf(value),
          ...(typeof weight === "number" ? { weight } : {})
        },
        where
      )
    ]
  })

/**
 * Targets as vegeta's text: a line `METHOD URL`, then lines of headers, then `@file` for the body, and an empty line between
 * one target and the next. Lines that begin with `#` say nothing.
 */
export const parseText = (text: string, folder: string): ReadonlyArray<Target> => {
  const targets: Array<Target> = []
  let current:
    | { method: string; url: string; headers: Array<readonly [string, string]>; body?: Uint8Array; where: string }
    | undefined
  const finish = (): void => {
    if (current === undefined) return
    const { where, ...input } = current
    targets.push(make(input, where))
    current = undefined
  }
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim()
    const where = ` in line ${index + 1}`
    if (line.startsWith("#")) continue
    if (line === "") {
      finish()
      continue
    }
    const request = /^([A-Z][A-Z-]*)\s+(\S+)$/.exec(line)
    if (request !== null) {
      finish()
      current = { method: request[1] ?? "", url: request[2] ?? "", headers: [], where }
      continue
    }
    if (current === undefined)
      throw new BadTargets({ message: `Cannot read ${JSON.stringify(line)}${where}: write METHOD URL` })
    if (line.startsWith("@")) {
      const file = resolve(folder, line.slice(1))
      try {
        current.body = readFileSync(file)
      } catch {
        throw new BadTargets({ message: `Cannot read the body ${file}${where}` })
      }
      continue
    }
    const colon = line.indexOf(":")
    if (colon < 1)
      throw new BadTargets({ message: `Cannot read the header ${JSON.stringify(line)}${where}: write Name: value` })
    current.headers.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()])
  }
  finish()
  return targets
}

/** The targets of a file, of either notation. */
export const load = (path: string): ReadonlyArray<Target> => {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (cause) {
    throw new BadTargets({
      message: `Cannot read the targets ${path}: ${cause instanceof Error ? cause.message : String(cause)}`
    })
  }
  const targets = text.trimStart().startsWith("{") ? parseJsonLines(text) : parseText(text, dirname(path))
  if (targets.length === 0) throw new BadTargets({ message: `Cannot load ${path}: it has no targets` })
  return targets
}
