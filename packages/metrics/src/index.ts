export * as Exposition from "./Exposition.ts"
export * as Registry from "./Registry.ts"
