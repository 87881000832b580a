// What a thread of a run and the one that started it say to each other.

import type { Share } from "../engine/Arrivals.ts"
import type { Ending } from "../engine/Run.ts"
import type { Plan } from "./Plan.ts"

/** What a thread is given when it starts. */
export interface Assignment {
  readonly plan: Plan
  readonly share: Share
  readonly totals: SharedArrayBuffer
  /** Whether what it has come to is wanted once a second. */
  readonly tells: boolean
}

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "progress"; readonly result: Uint8Array }
  | { readonly kind: "done"; readonly result: Uint8Array; readonly ending: Ending }

export type ToWorker =
  | { readonly kind: "start"; readonly atMillis: number }
  | { readonly kind: "stop"; readonly reason: string }
  /** Tell what there is, at once: nobody waits for the rest. */
  | { readonly kind: "cut" }
