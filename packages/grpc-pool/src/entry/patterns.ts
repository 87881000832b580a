export * as Patterns from "../Patterns.ts"
