// The concurrent request server under load, in the proportions of its classes:
// much that is light, some that is work, little that is dear.

import { type Answer, define } from "../scenarios/Scenario.ts"

/** A refusal is an answer too, where it says when to come again. */
const isHonest = ({ headers, ok, status }: Answer): boolean =>
  ok || ((status === 429 || status === 503) && headers.has("retry-after"))

const honest = "it is done, or refused with the time to come again"

export const credential = define({
  setUp: async ({ http }) => {
    const answer = await http.get("/providers")
    if (!answer.ok) throw new Error(`the providers could not be read: ${answer.error ?? answer.status}`)
    const found = [...answer.text().matchAll(/"provider_id"\s*:\s*"([^"]+)"/g)].flatMap(([, id]) => id ?? [])
    return { providers: found.length > 0 ? found : ["provider_001", "provider_002", "provider_003"] }
  },
  scenarios: {
    health: {
      weight: 10,
      run: async ({ check, http }) => {
        check("it is alive", (await http.get("/health")).ok)
      }
    },
    concurrency: { weight: 2, run: ({ http }) => http.get("/health/concurrency") },
    providers: {
      weight: 8,
      run: async ({ check, http }) => {
        check(honest, isHonest(await http.get("/providers")))
      }
    },
    credential: {
      weight: 4,
      run: async ({ check, http, random, shared: { providers } }) => {
        const id = providers[Math.floor(random() * providers.length)] ?? ""
        const path = `/credential/${encodeURIComponent(id)}`
        check(honest, isHonest(await http.post(path, { name: "POST /credential/{provider_id}" })))
      }
    },
    batch: {
      weight: 1,
      run: async ({ check, http, random, shared: { providers } }) => {
        const first = Math.floor(random() * providers.length)
        const ids = Array.from({ length: 3 }, (_, index) => providers[(first + index) % providers.length])
        check(honest, isHonest(await http.post("/batch-credential", { json: { provider_ids: [...new Set(ids)] } })))
      }
    },
    chat: {
      weight: 1,
      run: async ({ check, http, random, shared: { providers } }) => {
        const id = providers[Math.floor(random() * providers.length)] ?? ""
        check(honest, isHonest(await http.post("/chat", { json: { message: `What is known of ${id}?` } })))
      }
    }
  }
})
