export * as Runtime from "../Runtime.ts"
