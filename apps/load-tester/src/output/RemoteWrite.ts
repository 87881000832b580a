// Prometheus's remote write, version 1: protobuf (`prometheus.WriteRequest`) in snappy's block format. Of snappy, literals are
// all that is written: a block that any decoder reads, as large as what it holds.

import { Writer } from "../results/bytes.ts"
import * as Histogram from "../results/Histogram.ts"
import * as Result from "../results/Result.ts"

type Labels = Readonly<Record<string, string>>
type Sample = readonly [value: number, millis: number]

interface Series {
  readonly labels: Labels
  readonly samples: ReadonlyArray<Sample>
}

const quantiles: ReadonlyArray<readonly [label: string, q: number]> = [
  ["0.5", 0.5],
  ["0.9", 0.9],
  ["0.99", 0.99],
  ["0.999", 0.999],
  ["1", 1]
]

const figures: ReadonlyArray<readonly [name: string, of: (point: Result.Point) => number]> = [
  ["requests_per_second", ({ requests, seconds }) => requests / seconds],
  ["failed_per_second", ({ failed, seconds }) => failed / seconds],
  ["planned_per_second", ({ planned, seconds }) => planned / seconds],
  ["dropped_per_second", ({ dropped, seconds }) => dropped / seconds],
  ["iterations_per_second", ({ iterations, seconds }) => iterations / seconds],
  ["sent_bytes_per_second", ({ bytesOut, seconds }) => bytesOut / seconds],
  ["received_bytes_per_second", ({ bytesIn, seconds }) => bytesIn / seconds],
  ["loop_delay_max_micros", ({ loopDelay }) => loopDelay]
]

/** The seconds of a result, each at its end. */
export const series = (result: Result.Result): ReadonlyArray<Series> => {
  const points = Result.series(result).filter(({ seconds }) => seconds > 0)
  const run = result.names.join(", ") || "sluice-load"
  const endOf = ({ atSeconds, seconds }: Result.Point): number =>
    Math.round(result.startedAtMicros / 1000 + (atSeconds + seconds) * 1000)
  const named = (name: string, labels: Labels, samples: ReadonlyArray<Sample>): Series => ({
    labels: { __name__: `sluice_load_${name}`, run, ...labels },
    samples
  })
  return [
    ...figures.map(([name, of]) =>
      named(
        name,
        {},
        points.map((point): Sample => [of(point), endOf(point)])
      )
    ),
    named(
      "users",
      {},
      points.map((point): Sample => [point.userSeconds / result.windowSeconds, endOf(point)])
    ),
    ...quantiles.map(([quantile, q]) =>
      named(
        "request_duration_micros",
        { quantile },
        points
          .filter(({ latency }) => latency.count > 0)
          .map((point): Sample => [Histogram.quantile(point.latency, q), endOf(point)])
      )
    )
  ].filter(({ samples }) => samples.length > 0)
}

const field = (number: number, type: 0 | 1 | 2): number => number * 8 + type

const message = (write: (to: Writer) => void): Uint8Array => {
  const to = new Writer()
  write(to)
  return to.bytes()
}

const writeSeries = (to: Writer, { labels, samples }: Series): void => {
  for (const name of Object.keys(labels).sort()) {
    to.uint(field(1, 2))
    to.delimited(
      message((label) => {
        label.uint(field(1, 2))
        label.string(name)
        label.uint(field(2, 2))
        label.string(labels[name] ?? "")
      })
    )
  }
  for (const [value, millis] of samples) {
    to.uint(field(2, 2))
    to.delimited(
      message((sample) => {
        sample.uint(field(1, 1))
        sample.double(value)
        sample.uint(field(2, 0))
        sample.uint(millis)
      })
    )
  }
}

const longestLiteral = 65_536

/** A block of snappy, of literals: a tag of 61 says that the length, less one, follows in two bytes. */
export const snappy = (bytes: Uint8Array): Uint8Array =>
  message((to) => {
    to.uint(bytes.length)
    for (let from = 0; from < bytes.length; from += longestLiteral) {
      const part = bytes.subarray(from, from + longestLiteral)
      to.byte(61 << 2)
      to.byte((part.length - 1) & 0xff)
      to.byte((part.length - 1) >> 8)
      to.raw(part)
    }
  })

/** How many samples of a series a request has at most. */
const samplesEach = 500

/** The bodies of the requests that write a result, in order. */
export const requests = (result: Result.Result): ReadonlyArray<Uint8Array> => {
  const all = series(result)
  const most = Math.max(0, ...all.map(({ samples }) => samples.length))
  return Array.from({ length: Math.ceil(most / samplesEach) }, (_, index) =>
    snappy(
      message((to) => {
        for (const { labels, samples } of all) {
          const part = samples.slice(index * samplesEach, (index + 1) * samplesEach)
          if (part.length === 0) continue
          to.uint(field(1, 2))
          to.delimited(message((one) => writeSeries(one, { labels, samples: part })))
        }
      })
    )
  )
}
