export * as Workers from "../Workers.ts"
