export * as Admission from "./Admission.ts"
export * as ClientKey from "./ClientKey.ts"
export * as Health from "./Health.ts"
export * as Problem from "./Problem.ts"
