export * as GrpcError from "./GrpcError.ts"
