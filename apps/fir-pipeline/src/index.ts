export * as Complaints from "./Complaints.ts"
export * as Facts from "./Facts.ts"
export * as Law from "./law/Law.ts"
export * as Machine from "./Machine.ts"
