export * as EffectMetrics from "../EffectMetrics.ts"
