export * as SharedRegistry from "../SharedRegistry.ts"
