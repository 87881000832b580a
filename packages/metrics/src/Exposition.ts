/**
 * Writes what a registry holds in the formats that scrapers read.
 *
 * @module
 */

import { nativeFamilies } from "./internal/native.ts"
import { openMetrics, prometheus } from "./internal/text.ts"
import type { Registry } from "./Registry.ts"
import { encode } from "./Snapshots.ts"

/** The `Content-Type` of {@link prometheusText}. */
export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8"

/** The `Content-Type` of {@link openMetricsText}. */
export const openMetricsContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

/** The `Content-Type` of {@link prometheusProtobuf}. */
export const protobufContentType =
  "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

/** The `Content-Type` of {@link json}. */
export const jsonContentType = "application/json; charset=utf-8"

/**
 * The Prometheus text format, version 0.0.4. A histogram is counted at its `bounds`, exactly. O(series).
 */
export const prometheusText = (registry: Registry): string => prometheus(registry.snapshotUnsafe())

/** OpenMetrics 1.0: as {@link prometheusText}, with exemplars and the times at which series were made. O(series). */
export const openMetricsText = (registry: Registry): string => openMetrics(registry.snapshotUnsafe())

/**
 * Prometheus's protobuf format, delimited, with native histograms: their own buckets at schema 8 or below, besides those
 * of the `bounds`. O(series).
 */
export const prometheusProtobuf = (registry: Registry): Uint8Array => nativeFamilies(registry.snapshotUnsafe())

/** What `Snapshots.decode` reads. O(series). */
export const json = (registry: Registry): string => JSON.stringify(encode(registry.snapshotUnsafe()))

export interface Exposed {
  readonly contentType: string
  readonly body: string | Uint8Array
}

type Format = readonly [type: string, write: (registry: Registry) => Exposed]

const text: Format = [
  "text/plain",
  (registry) => ({ contentType: prometheusContentType, body: prometheusText(registry) })
]

const formats: ReadonlyArray<Format> = [
  [
    "application/vnd.google.protobuf",
    (registry) => ({ contentType: protobufContentType, body: prometheusProtobuf(registry) })
  ],
  [
    "application/openmetrics-text",
    (registry) => ({ contentType: openMetricsContentType, body: openMetricsText(registry) })
  ],
  ["application/json", (registry) => ({ contentType: jsonContentType, body: json(registry) })],
  text
]

/** How much a media type is wanted, by an `Accept` field. Of ranges that fit, the most exact one tells. */
const weightOf = (type: string, accept: string): number => {
  let weight = 0
  let exactness = -1
  for (const range of accept.split(",")) {
    const [name = "", ...parameters] = range.split(";").map((part) => part.trim())
    const fits = name === type ? 2 : name === `${type.split("/")[0]}/*` ? 1 : name === "*/*" ? 0 : -1
    if (fits <= exactness) continue
    exactness = fits
    const q = parameters.find((parameter) => parameter.startsWith("q="))
    const given = q === undefined ? 1 : Number(q.slice(2))
    weight = given >= 0 && given <= 1 ? given : 0
  }
  return weight
}

/**
 * Writes the format that an `Accept` field wants most; without one, or where nothing fits, the Prometheus text, as
 * scrapers expect. Of formats that are wanted equally by name the richest is taken, by a wildcard the text.
 */
export const negotiate = (registry: Registry, accept: string | undefined): Exposed => {
  if (accept === undefined) return text[1](registry)
  let best = text
  let most = weightOf(text[0], accept)
  for (const format of formats) {
    const isNamed = accept.includes(format[0])
    const weight = weightOf(format[0], accept)
    if (isNamed && (weight > most || (weight === most && weight > 0 && best === text))) {
      best = format
      most = weight
    }
  }
  return best[1](registry)
}
