// A local API server, a client of it, and a project to work in; all end with the
// scope of the test.

import { Effect, type Scope } from "effect"
import { Client, type Options, type Text2Everything } from "../../src/index.ts"
import * as Server from "../../src/server/Server.ts"

export interface Started {
  readonly server: Server.RunningServer
  readonly client: Text2Everything
  readonly project: string
}

export const start = (
  behaviour: Partial<Server.Behaviour> = {},
  options: Partial<Options.ClientOptions> = {}
): Effect.Effect<Started, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* Server.run({ behaviour: { ...Server.calm, ...behaviour } })
    const client = yield* Client.make({ baseUrl: server.url, accessToken: "token", retryDelay: "5 millis", ...options })
    // The project must stand whatever the faults that are tested.
    const steady = yield* Client.make({
      baseUrl: server.url,
      accessToken: "token",
      retryDelay: "5 millis",
      readTimeout: "1 second",
      maxRetries: 50
    })
    const project = yield* steady.projects.create({ name: "test" })
    return { server, client, project: project.id }
  }).pipe(Effect.orDie)

export const contexts = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `rule ${index}`, content: `content ${index}` }))
