// What deploys the app is held to what validators know and to what the app is.
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { Ajv } from "ajv"
import { validate as validateDockerfile } from "dockerfile-utils"
import * as AppsV1 from "kubernetes-models/apps/v1"
import * as AutoscalingV2 from "kubernetes-models/autoscaling/v2"
import * as NetworkingV1 from "kubernetes-models/networking.k8s.io/v1"
import * as PolicyV1 from "kubernetes-models/policy/v1"
import * as CoreV1 from "kubernetes-models/v1"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parse, parseAllDocuments } from "yaml"
import { readUsers } from "../src/Users.ts"
import { get, type Running, start, stop, temporaryFolder } from "./support/server.ts"

const read = (name: string): string => readFileSync(new URL(`../deploy/${name}`, import.meta.url), "utf8")
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
const settings = new Set([...readme.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, name]) => name))

let server: Running
beforeAll(async () => {
  server = await start("serve", { DATABASE_PATH: ":memory:" })
})
afterAll(() => stop(server))

describe("the Dockerfile", () => {
  const text = read("Dockerfile")

  it("has no fault that the validator knows", () => {
    expect(validateDockerfile(text).map(({ message, range }) => `${range.start.line + 1}: ${message}`)).toEqual([])
  })

  it("starts the app as a user that is not root, with settings that there are", () => {
    expect(text).toMatch(/^USER node$/m)
    expect(text).toMatch(/^ENTRYPOINT \["node", "src\/main.ts"\]$/m)
    const set = [...text.matchAll(/^ {2}([A-Z_]+)=/gm)].map(([, name]) => name)
    expect(set.filter((name) => name !== "NODE_ENV" && !settings.has(name ?? ""))).toEqual([])
  })

  it("installs with the pnpm of the repository", () => {
    const { devDependencies } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"))
    expect(text).toContain(`pnpm@${devDependencies.pnpm}`)
  })
})

/** Of the Compose Specification what is used here, and nothing beside. */
const composition = {
  type: "object",
  additionalProperties: false,
  required: ["services"],
  properties: {
    name: { type: "string", pattern: "^[a-z0-9][a-z0-9_-]*$" },
    services: {
      type: "object",
      patternProperties: { "^[a-zA-Z0-9._-]+$": { $ref: "#/definitions/service" } },
      additionalProperties: false
    },
    volumes: { type: "object", additionalProperties: { type: ["object", "null"] } }
  },
  patternProperties: { "^x-": {} },
  definitions: {
    duration: { type: "string", pattern: "^\\d+(ms|s|m|h)$" },
    service: {
      type: "object",
      additionalProperties: false,
      anyOf: [{ required: ["image"] }, { required: ["build"] }],
      properties: {
        image: { type: "string" },
        build: {
          type: "object",
          additionalProperties: false,
          required: ["context"],
          properties: { context: { type: "string" }, dockerfile: { type: "string" } }
        },
        command: { type: "array", items: { type: "string" } },
        restart: { enum: ["no", "always", "on-failure", "unless-stopped"] },
        stop_grace_period: { $ref: "#/definitions/duration" },
        environment: { type: "object", additionalProperties: { type: "string" } },
        ports: { type: "array", items: { type: "string", pattern: "^(\\d+:)?\\d+$" } },
        volumes: { type: "array", items: { type: "string", pattern: "^[^:]+:/[^:]+(:ro)?$" } },
        depends_on: {
          type: "object",
          additionalProperties: {
            type: "object",
            additionalProperties: false,
            required: ["condition"],
            properties: { condition: { enum: ["service_started", "service_healthy"] } }
          }
        },
        healthcheck: {
          type: "object",
          additionalProperties: false,
          required: ["test"],
          properties: {
            test: { type: "array", items: { type: "string" }, minItems: 2 },
            interval: { $ref: "#/definitions/duration" },
            timeout: { $ref: "#/definitions/duration" },
            retries: { type: "integer", minimum: 1 }
          }
        }
      }
    }
  }
}

describe("the compose file", () => {
  const file = parse(read("compose.yaml"), { merge: true })

  it("has the form that the specification asks for", () => {
    const ajv = new Ajv({ allErrors: true, allowUnionTypes: true })
    ajv.validate(composition, file)
    expect(ajv.errors ?? []).toEqual([])
  })

  it("names services and volumes that there are, and waits for health only where it is checked", () => {
    const services: Record<string, Record<string, unknown>> = file.services
    const checked = (name: string) =>
      services[name]?.["healthcheck"] !== undefined || services[name]?.["image"] === "fir-pipeline"
    for (const [name, service] of Object.entries(services)) {
      for (const other of Object.keys(service["depends_on"] ?? {})) {
        expect(services, `${name} depends on ${other}`).toHaveProperty([other])
        expect(checked(other), `${other} is checked`).toBe(true)
      }
      for (const volume of (service["volumes"] ?? []) as ReadonlyArray<string>) {
        const [source = ""] = volume.split(":")
        if (!source.startsWith(".")) expect(file.volumes).toHaveProperty([source])
      }
    }
    const upstreams = [...read("nginx.conf").matchAll(/server (fir-\d):8000/g)].map(([, name]) => name)
    expect(upstreams).toEqual(Object.keys(services).filter((name) => name.startsWith("fir-")))
  })

  it("sets what is a setting", () => {
    const set = Object.keys(file.services["fir-1"].environment)
    expect(set.filter((name) => !settings.has(name))).toEqual([])
  })
})

const models: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  v1: CoreV1,
  "apps/v1": AppsV1,
  "autoscaling/v2": AutoscalingV2,
  "networking.k8s.io/v1": NetworkingV1,
  "policy/v1": PolicyV1
}

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  // biome-ignore lint/suspicious/noExplicitAny: manifests differ by kind
  readonly [field: string]: any
}

/**
 * A value that remembers what of it was read. A schema of Kubernetes does not refuse a field that it does not know, but it
 * does not read it either.
 */
const watched = (value: object): { readonly seen: object; readonly unread: () => ReadonlyArray<string> } => {
  const fields = new Set<string>()
  const wrap = (target: object, path: string): object => {
    for (const key of Object.keys(target)) fields.add(`${path}/${key}`)
    const wrapped = new Map<PropertyKey, unknown>()
    for (const [key, field] of Object.entries(target)) {
      wrapped.set(key, typeof field === "object" && field !== null ? wrap(field, `${path}/${key}`) : field)
    }
    return new Proxy(target, {
      get: (object, key, receiver) => {
        fields.delete(`${path}/${String(key)}`)
        return wrapped.has(key) ? wrapped.get(key) : Reflect.get(object, key, receiver)
      }
    })
  }
  return { seen: wrap(value, ""), unread: () => [...fields] }
}

describe("the Kubernetes manifests", () => {
  const manifests: ReadonlyArray<Manifest> = readdirSync(new URL("../deploy/kubernetes", import.meta.url))
    .flatMap((name) => parseAllDocuments(read(`kubernetes/${name}`)))
    .map((document) => document.toJS())
  const named = manifests.map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, manifest] as const)
  const of = (kind: string): ReadonlyArray<Manifest> => manifests.filter((manifest) => manifest.kind === kind)

  const pod = (name: string) => {
    const found = of("Deployment").find(({ metadata }) => metadata.name === name)
    if (found === undefined) throw new Error(`There is no deployment ${name}`)
    return found["spec"].template.spec
  }

  it.each(named)("has a %s that the schemas of Kubernetes take", (_, manifest) => {
    const Model = models[manifest.apiVersion]?.[manifest.kind]
    if (typeof Model !== "function") throw new Error(`There is no model of ${manifest.apiVersion} ${manifest.kind}`)
    const { seen, unread } = watched(manifest)
    const resource = Object.assign(Reflect.construct(Model, [manifest]), seen)
    expect(() => resource.validate()).not.toThrow()
    expect(unread()).toEqual([])
  })

  it("is checked by a validator that does refuse, and that does not look at what it does not know", () => {
    const { seen, unread } = watched({ metadata: { name: "x", nmae: "y" }, spec: { replicas: "two" } })
    const wrong = Object.assign(new AppsV1.Deployment(), seen)
    expect(() => wrong.validate()).toThrow()
    expect(unread()).toContain("/metadata/nmae")
  })

  it("selects pods that there are, by ports that they have", () => {
    for (const service of of("Service")) {
      const pods = of("Deployment").find(
        ({ spec }) => spec.template.metadata.labels.app === service["spec"].selector.app
      )
      const ports = pods?.["spec"].template.spec.containers[0].ports.map(({ name }: { name: string }) => name)
      expect(ports).toEqual(service["spec"].ports.map(({ targetPort }: { targetPort: string }) => targetPort))
    }
  })

  it("probes paths that answer, without a key", async () => {
    const paths = of("Deployment")
      .flatMap(({ spec }) => spec.template.spec.containers)
      .flatMap(({ livenessProbe, readinessProbe, startupProbe }) => [livenessProbe, readinessProbe, startupProbe])
      .flatMap((probe) => (probe === undefined ? [] : [probe.httpGet.path]))
    expect(paths.length).toBeGreaterThan(3)
    for (const path of new Set(paths)) expect((await get(`${server.url}${path}`)).status).toBe(200)
  })

  it("sets what is a setting, from secrets that there are", () => {
    const [container] = pod("fir").containers
    const fromMap = Object.keys(of("ConfigMap")[0]?.["data"])
    const fromSecrets = container.env.map(({ name }: { name: string }) => name)
    expect([...fromMap, ...fromSecrets].filter((name) => !settings.has(name))).toEqual([])
    const secrets = Object.keys(of("Secret")[0]?.["stringData"])
    for (const { valueFrom } of container.env) expect(secrets).toContain(valueFrom.secretKeyRef.key)
  })

  it("gives more time to end than the app takes to drain", () => {
    const { containers, terminationGracePeriodSeconds } = pod("fir")
    expect(terminationGracePeriodSeconds).toBeGreaterThan(30 + containers[0].lifecycle.preStop.sleep.seconds)
  })

  it("shows users as the app reads them", () => {
    const folder = temporaryFolder()
    writeFileSync(`${folder.path}/users.json`, of("Secret")[0]?.["stringData"].users)
    expect(readUsers(`${folder.path}/users.json`)).toHaveLength(1)
    folder.remove()
  })
})
