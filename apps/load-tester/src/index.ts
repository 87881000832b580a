export * as Complaints from "./fir/Complaints.ts"
export * as Concurrency from "./fir/Concurrency.ts"
export * as Session from "./fir/Session.ts"
export * as Text from "./fir/Text.ts"
