export type * as GrpcClient from "./GrpcClient.ts"
export * as GrpcError from "./GrpcError.ts"
export * as GrpcPool from "./GrpcPool.ts"
export * as GrpcRetry from "./GrpcRetry.ts"
