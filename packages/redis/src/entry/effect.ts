export * as EffectStores from "../EffectStores.ts"
