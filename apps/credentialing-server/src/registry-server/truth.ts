// What the registries know of a generated provider: for most what was stated, for
// some of them something else.
import { type Random, random } from "../internal/random.ts"
import type { Provider } from "../Provider.ts"
import type { Records } from "../workflow/records.ts"

const DAY = 24 * 60 * 60 * 1000

const dayFrom = (nowMillis: number, days: number): string => new Date(nowMillis + days * DAY).toISOString().slice(0, 10)

/** What may be the matter, of a thousand providers with how many. */
const MATTERS = [
  ["licence expired", 30],
  ["licence suspended", 10],
  ["licence unknown", 8],
  ["licence ends soon", 40],
  ["disciplinary action", 25],
  ["maiden name", 20],
  ["excluded", 15],
  ["exclusion lifted", 15],
  ["degree unknown", 10],
  ["other year", 30],
  ["position unconfirmed", 50],
  ["no position confirmed", 7]
] as const
type Matter = (typeof MATTERS)[number][0]

const matterOf = (draw: Random): Matter | undefined => {
  let left = draw.whole(0, 999)
  for (const [matter, share] of MATTERS) {
    if (left < share) return matter
    left -= share
  }
  return undefined
}

const licence = (
  provider: Provider,
  matter: Matter | undefined,
  draw: Random,
  nowMillis: number
): Records["licence"] => {
  if (matter === "licence unknown") return null
  const expires =
    matter === "licence expired"
      ? dayFrom(nowMillis, -draw.whole(2, 700))
      : dayFrom(nowMillis, matter === "licence ends soon" ? draw.whole(5, 50) : draw.whole(90, 1000))
  return {
    number: provider.licence_number,
    holder: matter === "maiden name" ? `${provider.name.split(" ")[0]} Hartmann` : provider.name,
    state: provider.state,
    status: matter === "licence suspended" ? "suspended" : matter === "licence expired" ? "expired" : "active",
    expires,
    actions: matter === "disciplinary action" ? ["record keeping, reprimand"] : []
  }
}

/** The records of all registries of one provider. The same for the same number, seed and day. */
export const truthOf = (provider: Provider, number: number, seed: number, nowMillis: number): Records => {
  // A stream of its own, so that what is known does not depend on how providers are generated.
  const draw = random(seed ^ 0x5eed, number)
  const matter = matterOf(draw)
  const { npi } = provider
  const { degree, graduated, school } = provider.education
  const confirmed = provider.work_history.filter(
    (_, index) => !(matter === "no position confirmed" || (matter === "position unconfirmed" && index === 0))
  )
  return {
    licence: licence(provider, matter, draw, nowMillis),
    sanctions: {
      npi,
      matches:
        matter === "excluded"
          ? [{ list: "OIG LEIE", since: "2023-05-20", lifted: null }]
          : matter === "exclusion lifted"
            ? [{ list: "SAM.gov", since: "2014-02-20", lifted: "2019-02-19" }]
            : []
    },
    education: {
      npi,
      awards:
        matter === "degree unknown" ? [] : [{ school, degree, year: graduated - (matter === "other year" ? 3 : 0) }]
    },
    work_history: { npi, positions: confirmed.map(({ employer, from, to }) => ({ employer, from, to })) }
  }
}
