export * as Observe from "../Observe.ts"
