export * as Outcome from "./Outcome.ts"
export * as Provider from "./Provider.ts"
