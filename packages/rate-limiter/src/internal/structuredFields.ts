// Structured fields (RFC 9651), as far as rate limits need them: lists of items
// with parameters, read strictly; a field that is malformed is no field.

export type Bare = string | number | boolean | Uint8Array

export interface Item {
  readonly value: Bare
  readonly parameters: ReadonlyMap<string, Bare>
}

class Malformed extends Error {}

class Reader {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  /** What a sticky pattern matches here, and goes behind it. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match === null) return undefined
    this.at = pattern.lastIndex
    return match[0]
  }

  need(pattern: RegExp): string {
    const taken = this.take(pattern)
    if (taken === undefined) throw new Malformed()
    return taken
  }

  isAtEnd(): boolean {
    return this.at === this.text.length
  }
}

const spaces = /[ \t]*/y
const key = /[a-z*][a-z0-9_\-.*]*/y

const readBare = (reader: Reader): Bare => {
  const string = reader.take(/"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/y)
  if (string !== undefined) return string.slice(1, -1).replace(/\\(.)/g, "$1")
  const decimal = reader.take(/-?\d{1,12}\.\d{1,3}(?![\d.])/y) ?? reader.take(/-?\d{1,15}(?![\d.])/y)
  if (decimal !== undefined) return Number(decimal)
  const bytes = reader.take(/:[A-Za-z0-9+/]*={0,2}:/y)
  if (bytes !== undefined) {
    try {
      return Uint8Array.from(atob(bytes.slice(1, -1)), (character) => character.charCodeAt(0))
    } catch {
      throw new Malformed()
    }
  }
  const boolean = reader.take(/\?[01]/y)
  if (boolean !== undefined) return boolean === "?1"
  return reader.need(/[A-Za-z*][!#$%&'*+\-.^_`|~\w:/]*/y)
}

const readParameters = (reader: Reader): ReadonlyMap<string, Bare> => {
  const parameters = new Map<string, Bare>()
  while (reader.take(/;/y) !== undefined) {
    reader.need(/ */y)
    const name = reader.need(key)
    parameters.set(name, reader.take(/=/y) === undefined ? true : readBare(reader))
  }
  return parameters
}

const readAll = <A>(text: string, readMember: (reader: Reader) => A): ReadonlyArray<A> | undefined => {
  const reader = new Reader(text.trim())
  const members: Array<A> = []
  try {
    while (!reader.isAtEnd()) {
      members.push(readMember(reader))
      reader.take(spaces)
      if (reader.isAtEnd()) break
      reader.need(/,/y)
      reader.take(spaces)
      if (reader.isAtEnd()) return undefined
    }
    return members
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}

/** The items of a list; `undefined` where the field is malformed. */
export const parseList = (text: string): ReadonlyArray<Item> | undefined =>
  readAll(text, (reader) => ({ value: readBare(reader), parameters: readParameters(reader) }))

/** The members of a dictionary of items. */
export const parseDictionary = (text: string): ReadonlyMap<string, Bare> | undefined => {
  const members = readAll(text, (reader): readonly [string, Bare] => {
    const name = reader.need(key)
    const value = reader.take(/=/y) === undefined ? true : readBare(reader)
    readParameters(reader)
    return [name, value]
  })
  return members === undefined ? undefined : new Map(members)
}

const writeString = (value: string): string => {
  if (!/^[\x20-\x7e]*$/.test(value)) {
    throw new RangeError(`Cannot write ${JSON.stringify(value)} as a header: printable ASCII is needed`)
  }
  return `"${value.replace(/["\\]/g, "\\$&")}"`
}

const writeBare = (value: Bare): string => {
  if (typeof value === "string") return writeString(value)
  if (typeof value === "number") return String(Math.min(999_999_999_999_999, Math.trunc(value)))
  if (typeof value === "boolean") return value ? "?1" : "?0"
  return `:${btoa(String.fromCharCode(...value))}:`
}

/** A list of strings with parameters, those that are undefined left out; numbers are written whole. */
export const writeList = (
  items: ReadonlyArray<readonly [name: string, parameters: Readonly<Record<string, Bare | undefined>>]>
): string =>
  items
    .map(([name, parameters]) =>
      Object.entries(parameters).reduce(
        (text, [parameter, value]) => (value === undefined ? text : `${text};${parameter}=${writeBare(value)}`),
        writeString(name)
      )
    )
    .join(", ")
