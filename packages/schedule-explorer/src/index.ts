export * as Explorer from "./Explorer.ts"
