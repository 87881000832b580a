/**
 * Scenarios that come with the tester.
 *
 * @module
 */
import type { LoadTest } from "../scenarios/Scenario.ts"
import { credential } from "./credential.ts"
import { t2e } from "./t2e.ts"

export interface BuiltIn {
  readonly name: string
  readonly summary: string
  readonly test: LoadTest
  /** Where its server is when nobody says; without it, one of its own is started. */
  readonly url?: string
}

/** Those that `sluice-load run` knows by name. */
export const all: ReadonlyArray<BuiltIn> = [
  {
    name: "t2e",
    summary: "the Text2Everything API: contexts, golden examples and schema metadata, written and read",
    test: t2e
  },
  {
    name: "credential",
    summary: "the concurrent request server: health, providers, single and batch credentialing, chat",
    test: credential,
    url: "http://127.0.0.1:8000"
  }
]

export const find = (name: string): BuiltIn | undefined => all.find((one) => one.name === name)

/** Those that have a command of their own. */
const commands: ReadonlyArray<Pick<BuiltIn, "name" | "summary">> = [
  { name: "fir", summary: "many FIRs at once, each complete and right: sluice-load fir" },
  { name: "perf", summary: "one FIR, step by step: sluice-load perf" },
  { name: "grpc", summary: "the patterns of concurrent gRPC clients: sluice-load grpc; --list tells them" }
]

/** What there is, a line each. */
export const list = (): string =>
  [...all, ...commands].map(({ name, summary }) => `${name.padEnd(12)}${summary}`).join("\n")
