import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
import { InvalidConfiguration, Options } from "../src/index.ts"

const base = { baseUrl: "https://api.example.com/", accessToken: "token" }

describe("settings", () => {
  it.effect("have the defaults of the Text2Everything guide", () =>
    Effect.gen(function* () {
      const settings = yield* Options.settings(base)
      expect(settings.baseUrl).toBe("https://api.example.com")
      expect(Duration.toSeconds(settings.timeout)).toBe(30)
      expect(Duration.toSeconds(settings.readTimeout)).toBe(180)
      expect(Duration.toSeconds(settings.poolTimeout)).toBe(300)
      expect(Duration.toSeconds(settings.keepaliveExpiry)).toBe(300)
      expect(Duration.toSeconds(settings.retryDelay)).toBe(1)
      expect(settings).toMatchObject({
        maxConnections: 50,
        maxKeepaliveConnections: 10,
        maxRetries: 3,
        maxConcurrent: 8,
        useConnectionIsolation: true
      })
    })
  )

  it.effect("take either credential, and show neither", () =>
    Effect.gen(function* () {
      const bearer = yield* Options.settings(base)
      const key = yield* Options.settings({ baseUrl: base.baseUrl, apiKey: "secret-key" })
      expect(Redacted.value(bearer.credential.value)).toBe("Bearer token")
      expect(key.credential.header).toBe("x-api-key")
      expect(JSON.stringify([bearer, key])).not.toMatch(/token"|secret-key/)
    })
  )

  const refused = [
    ["baseUrl", { ...base, baseUrl: "api.example.com" }],
    ["accessToken", { baseUrl: base.baseUrl }],
    ["accessToken", { ...base, accessToken: "two\nlines" }],
    ["workspaceName", { ...base, workspaceName: "dev" }],
    ["workspaceName", { ...base, workspaceName: "workspaces/" }],
    ["maxConcurrent", { ...base, maxConcurrent: 0 }],
    ["maxConnections", { ...base, maxConnections: 1.5 }],
    ["maxRetries", { ...base, maxRetries: -1 }],
    ["readTimeout", { ...base, readTimeout: 0 }]
  ] as const

  for (const [field, options] of refused) {
    it.effect(`refuse ${JSON.stringify(options)} by the name ${field}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Options.settings(options))
        expect(error).toBeInstanceOf(InvalidConfiguration)
        expect(error.field).toBe(field)
        expect(error.message).not.toContain("two\\nlines")
      })
    )
  }

  it.effect("of the presets are those of the guide's three configurations", () =>
    Effect.gen(function* () {
      const fast = yield* Options.settings({ ...base, ...Options.highThroughput })
      expect(fast).toMatchObject({
        maxConnections: 200,
        maxKeepaliveConnections: 50,
        maxConcurrent: 16,
        http2: true
      })
      const long = yield* Options.settings({ ...base, ...Options.longRunning })
      expect([long.readTimeout, long.poolTimeout, long.keepaliveExpiry].map(Duration.toSeconds)).toEqual([
        600, 900, 600
      ])
      const careful = yield* Options.settings({ ...base, ...Options.conservative })
      expect(careful).toMatchObject({
        maxConnections: 25,
        maxKeepaliveConnections: 5,
        maxConcurrent: 4,
        useConnectionIsolation: true,
        http2: false
      })
    })
  )

  it.effect("come from the environment", () =>
    Effect.gen(function* () {
      const provider = ConfigProvider.fromEnv({
        env: {
          T2E_BASE_URL: "http://127.0.0.1:8080",
          T2E_ACCESS_TOKEN: "token",
          T2E_WORKSPACE_NAME: "workspaces/dev"
        }
      })
      const options = yield* Options.fromEnvironment.parse(provider)
      const settings = yield* Options.settings(options)
      expect(settings.workspaceName).toBe("workspaces/dev")
      expect(settings.baseUrl).toBe("http://127.0.0.1:8080")
    })
  )
})
