// What deploys the app, and what its README says of it, are held to what the app is.
import { readFileSync } from "node:fs"
import { validate } from "dockerfile-utils"
import { describe, expect, it } from "vitest"

const read = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), "utf8")
const readme = read("README.md")
const told = new Set([...readme.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, name]) => name))
const variables = [...read("src/Settings.ts").matchAll(/read\(\s*"([A-Z0-9_]+)"/g)].map(([, name]) => name)

describe("the Dockerfile", () => {
  const text = read("deploy/Dockerfile")

  it("has no fault that the validator knows", () => {
    expect(validate(text).map(({ message, range }) => `${range.start.line + 1}: ${message}`)).toEqual([])
  })

  it("starts the app as a user that is not root, with settings that there are", () => {
    expect(text).toMatch(/^USER node$/m)
    expect(text).toMatch(/^ENTRYPOINT \["node", "src\/main.ts"\]$/m)
    const set = [...text.matchAll(/^ {2}([A-Z_]+)=/gm)].map(([, name]) => name)
    expect(set.filter((name) => name !== "NODE_ENV" && !variables.includes(name))).toEqual([])
  })

  it("installs with the pnpm of the repository", () => {
    const { devDependencies } = JSON.parse(read("../../package.json"))
    expect(text).toContain(`pnpm@${devDependencies.pnpm}`)
  })
})

describe("the README", () => {
  it("tells of every setting that is read", () => {
    expect(variables.length).toBeGreaterThan(20)
    expect(variables.filter((name) => !told.has(name))).toEqual([])
  })

  it("tells of every endpoint that there is", () => {
    const sources = ["src/Server.ts", "src/http/reading.ts", "src/http/working.ts"].map(read).join("\n")
    const paths = [...sources.matchAll(/"(\/[a-z][a-z_/:-]*)"/g)].map(([, path]) =>
      (path ?? "").replace(/:([a-z_]+)/g, "{$1}")
    )
    expect(paths.length).toBeGreaterThan(20)
    expect(paths.filter((path) => !readme.includes(path))).toEqual([])
  })
})
