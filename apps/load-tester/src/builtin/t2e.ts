// The Text2Everything API under load: what its high-concurrency suites create,
// created one by one, and read while others write.

import { define, type Http, type RequestOptions, type User } from "../scenarios/Scenario.ts"

const headers = (): Readonly<Record<string, string>> => {
  const { T2E_ACCESS_TOKEN: token = "load-test", T2E_WORKSPACE_NAME: workspace } = process.env
  return { authorization: `Bearer ${token}`, ...(workspace === undefined ? {} : { "x-workspace-name": workspace }) }
}

const send = (http: Http, method: string, path: string, options: RequestOptions) =>
  http.request(method, path, { ...options, headers: headers() })

const resources = {
  contexts: (name: string) => ({ name, content: `Content of ${name}` }),
  "golden-examples": (name: string) => ({ user_query: `What of ${name}?`, sql_query: `SELECT '${name}'` }),
  "schema-metadata": (name: string) => ({ name, schema_data: { relationship: { from: `${name}.id`, to: "b.id" } } })
} as const

type Resource = keyof typeof resources

/** One that was created answers with what it was given. */
const createOne = (resource: Resource) => async (user: User<Record<never, never>, { readonly project: string }>) => {
  const item = resources[resource](`load ${user.id}.${user.iteration}`)
  const answer = await send(user.http, "POST", `/api/projects/${user.shared.project}/${resource}`, {
    name: `create ${resource}`,
    json: item
  })
  user.check(
    "what was created has its content intact",
    answer.ok && Object.entries(item).every(([key, value]) => JSON.stringify(answer.at(key)) === JSON.stringify(value))
  )
}

export const t2e = define({
  setUp: async ({ http }) => {
    const answer = await send(http, "POST", "/api/projects", { json: { name: `Load test ${Date.now()}` } })
    const project = answer.at("id")
    if (typeof project !== "string") throw new Error(`no project could be created: ${answer.error ?? answer.text()}`)
    // The first write to a project makes its collection; those that come together would each try.
    for (const [resource, make] of Object.entries(resources)) {
      await send(http, "POST", `/api/projects/${project}/${resource}`, { json: make("first") })
    }
    return { project }
  },
  tearDown: ({ project }, { http }) => send(http, "DELETE", `/api/projects/${project}`, {}),
  scenarios: {
    high_concurrency_contexts: { weight: 2, run: createOne("contexts") },
    high_concurrency_golden_examples: { weight: 2, run: createOne("golden-examples") },
    high_concurrency_schema_metadata: { weight: 2, run: createOne("schema-metadata") },
    read: {
      weight: 4,
      run: async ({ check, http, shared: { project } }) => {
        const found = await send(http, "GET", `/api/projects/${project}`, { name: "get project" })
        check("the project is the one that was asked for", found.at("id") === project)
        await send(http, "GET", `/api/projects/${project}/contexts`, { name: "list contexts" })
      }
    }
  }
})
