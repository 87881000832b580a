// What can be said of a run on the command line.

import { Argument, Flag } from "effect/cli"
import type { Share } from "../engine/Arrivals.ts"
import { parseSeconds } from "../engine/Pattern.ts"

/** Reads a value, and says what is wrong with it in the words of the notation. */
const reading = <A>(flag: Flag.Flag<string>, read: (text: string) => A) =>
  flag.pipe(Flag.mapTryCatch(read, (error) => (error instanceof Error ? error.message : String(error))))

const time = (name: string, description: string) =>
  reading(Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar("TIME")), parseSeconds)

const atLeast = (least: number, name: string) =>
  Flag.filter(
    (value: number) => value >= least,
    (value) => `--${name} ${value}: a number of ${least} or more is needed`
  )

const whole = (name: string, description: string, least = 1) =>
  Flag.Int(name).pipe(Flag.withDescription(description), atLeast(least, name))

const toggle = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const parseExpected = (text: string): ReadonlyArray<readonly [from: number, to: number]> =>
  text.split(",").map((range) => {
    const match = /^\s*([1-5]\d\d)(?:-([1-5]\d\d))?\s*$/.exec(range)
    if (match === null) throw new Error(`cannot read ${JSON.stringify(range)}: write 200, or 200-399`)
    return [Number(match[1]), Number(match[2] ?? match[1])]
  })

const parseShare = (text: string): Share => {
  const match = /^(\d+)\/(\d+)$/.exec(text)
  const [index, of] = [Number(match?.[1]), Number(match?.[2])]
  if (match === null || index < 1 || index > of)
    throw new Error(`cannot read ${JSON.stringify(text)}: write 1/3, 2/3 or 3/3`)
  return { index: index - 1, of }
}

const parseMoment = (text: string): number => {
  const millis = /^[\d.]+$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  if (!Number.isFinite(millis)) throw new Error(`cannot read ${JSON.stringify(text)} as a moment`)
  return millis
}

const parseHeader = (text: string): readonly [name: string, value: string] => {
  const colon = text.indexOf(":")
  if (colon < 1) throw new Error(`cannot read ${JSON.stringify(text)}: write Name: value`)
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]
}

export const target = Argument.String("target").pipe(
  Argument.withDescription("An address, a file of targets (vegeta's text, or JSON lines), or a scenario in TypeScript"),
  Argument.optional
)

export const load = {
  concurrency: whole("concurrency", "Users at once in a closed loop; connections at most in an open one").pipe(
    Flag.withAlias("c"),
    Flag.optional
  ),
  duration: Flag.String("duration").pipe(
    Flag.withAlias("d"),
    Flag.withMetavar("TIME"),
    Flag.withDescription("How long there is load: 500ms, 10s, 1m30s; default 10s"),
    Flag.optional
  ),
  iterations: whole("iterations", "Iterations in all, at most").pipe(Flag.withAlias("n"), Flag.optional),
  rate: Flag.String("rate").pipe(
    Flag.withAlias("r"),
    Flag.withDescription("Arrivals in an open model: 1000, 1000/s, 600/m"),
    Flag.optional
  ),
  stages: Flag.String("stages").pipe(
    Flag.withAlias("s"),
    Flag.withDescription(
      "10s:100,1m:100,10s:0, each going evenly to its level; 10s@100 is there at once. Of users, or with --rate of arrivals a second, from that rate on"
    ),
    Flag.optional
  ),
  pattern: Flag.String("pattern").pipe(
    Flag.withDescription("steady, ramp, step, spike, burst, sine or soak, up to --rate or -c; as spike:base=20"),
    Flag.optional
  ),
  replay: Flag.String("replay").pipe(
    Flag.withDescription("File of moments to begin at: a line each, ISO 8601 or seconds, first in the line"),
    Flag.optional
  ),
  replaySpeed: Flag.Finite("replay-speed").pipe(
    Flag.withDescription("How many times as fast the moments are replayed"),
    Flag.withDefault(1),
    Flag.filter(
      (speed) => speed > 0,
      (speed) => `--replay-speed ${speed}: a number above 0 is needed`
    )
  ),
  poisson: toggle("poisson", "Arrivals as independent visitors come, instead of evenly spaced"),
  seed: Flag.Int("seed").pipe(Flag.withDescription("Of whatever is drawn"), Flag.withDefault(1)),
  maxInFlight: whole("max-in-flight", "Iterations of an open model under way at most; what comes then is dropped").pipe(
    Flag.withDefault(10_000)
  ),
  startAfter: time("start-after", "Wait before load begins").pipe(Flag.withDefault(0)),
  gracefulStop: time("graceful-stop", "How long what is under way at the end may take").pipe(Flag.withDefault(30)),
  abortBelow: Flag.Finite("abort-below").pipe(
    Flag.withDescription("End when less than this part of a second's arrivals was begun, as 0.95"),
    Flag.filter(
      (part) => part > 0 && part <= 1,
      (part) => `--abort-below ${part}: a number above 0 and up to 1 is needed`
    ),
    Flag.optional
  )
}

/** Where the load comes from. */
export const placement = {
  workers: whole("workers", "Threads that share the load").pipe(Flag.withAlias("w"), Flag.withDefault(1)),
  share: reading(
    Flag.String("share").pipe(
      Flag.withDescription("A part of the load, as 2/3: machines that each run theirs do all of it together")
    ),
    parseShare
  ).pipe(Flag.optional),
  startAt: reading(
    Flag.String("start-at").pipe(Flag.withDescription("Wait until then: ISO 8601, or seconds since 1970")),
    parseMoment
  ).pipe(Flag.optional),
  agents: whole("agents", "Have so many agents do it, which agree through --redis").pipe(Flag.optional),
  redis: Flag.String("redis").pipe(
    Flag.withDescription("Where agents meet: redis://host:6379"),
    Flag.withDefault("redis://127.0.0.1:6379")
  ),
  meeting: Flag.String("meeting").pipe(
    Flag.withDescription("What agents look for, where several runs share a Redis"),
    Flag.withDefault("default")
  ),
  patience: time("patience", "How long agents may take to join").pipe(Flag.withDefault(120))
}

export const http = {
  method: Flag.String("method").pipe(
    Flag.withAlias("X"),
    Flag.withDescription("Default GET, or POST with a body"),
    Flag.optional
  ),
  header: reading(
    Flag.String("header").pipe(Flag.withAlias("H"), Flag.withDescription("Name: value; again for more")),
    parseHeader
  ).pipe(Flag.atLeast(0)),
  body: Flag.String("body").pipe(Flag.withAlias("b"), Flag.withDescription("Text to send"), Flag.optional),
  bodyFile: Flag.String("body-file").pipe(Flag.withDescription("File to send"), Flag.optional),
  baseUrl: Flag.String("url").pipe(Flag.withDescription("What addresses in a scenario count from"), Flag.optional),
  connections: whole(
    "connections",
    "To an origin at most; default -c, or 256 with --rate; one of HTTP/2 or gRPC, which carries many requests"
  ).pipe(Flag.optional),
  http2: toggle("http2", "HTTP/2; with prior knowledge where there is no TLS"),
  noKeepAlive: toggle("no-keep-alive", "A new connection for each request"),
  timeout: time("timeout", "How long a request may take").pipe(Flag.withAlias("t"), Flag.withDefault(30)),
  connectTimeout: time("connect-timeout", "How long a connection may take to open").pipe(Flag.withDefault(10)),
  insecure: toggle("insecure", "Take any certificate").pipe(Flag.withAlias("k")),
  expect: reading(
    Flag.String("expect").pipe(
      Flag.withDescription("Statuses that are no failures, as 200-299,404"),
      Flag.withDefault("100-399")
    ),
    parseExpected
  )
}

type Values<F> = { readonly [K in keyof F]: F[K] extends Flag.Flag<infer A> ? A : never }

export type Flags = Values<typeof load> & Values<typeof http>
export type Placement = Values<typeof placement>
