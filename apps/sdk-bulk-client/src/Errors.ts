/**
 * What can go wrong between a caller and the Text2Everything API, each with the
 * facts that a caller decides by.
 *
 * @module
 */
import { Data, type Duration } from "effect"

/** The client was asked to be something it cannot be. Nothing was sent. */
export class InvalidConfiguration extends Data.TaggedError("@sluice/sdk-bulk-client/InvalidConfiguration")<{
  readonly field: string
  readonly value: unknown
  readonly allowed: string
}> {
  override get message(): string {
    return `Cannot use ${this.field} = ${JSON.stringify(this.value)}: allowed is ${this.allowed}`
  }
}

/** One thing that is wrong with one item. */
export interface ItemIssue {
  /** Position in the input, from 0. */
  readonly index: number
  readonly message: string
}

/** Items that the API would refuse, all of them at once. Nothing was sent. */
export class InvalidItems extends Data.TaggedError("@sluice/sdk-bulk-client/InvalidItems")<{
  readonly issues: ReadonlyArray<ItemIssue>
}> {
  override get message(): string {
    const shown = this.issues.slice(0, 5).map(({ index, message }) => `item ${index}: ${message}`)
    const more = this.issues.length > shown.length ? [`and ${this.issues.length - shown.length} more`] : []
    return `Cannot send ${this.issues.length} of the items: ${[...shown, ...more].join("; ")}`
  }
}

/** What a status means to a caller. */
export type ApiErrorKind =
  | "BadRequest"
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "Conflict"
  | "Unprocessable"
  | "RateLimited"
  | "ServerError"
  | "UnexpectedStatus"

const kinds: Readonly<Record<number, ApiErrorKind>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  422: "Unprocessable",
  429: "RateLimited"
}

export const kindOf = (status: number): ApiErrorKind =>
  kinds[status] ?? (status >= 500 ? "ServerError" : "UnexpectedStatus")

/** The API answered, and the answer was no. */
export class ApiError extends Data.TaggedError("@sluice/sdk-bulk-client/ApiError")<{
  readonly kind: ApiErrorKind
  readonly status: number
  readonly method: string
  readonly path: string
  /** The body's `detail` or `error`, or the body itself where it has neither. */
  readonly detail: string
  readonly requestId: string | undefined
  /** How long the API asked to be left alone. */
  readonly retryAfter: Duration.Duration | undefined
}> {
  override get message(): string {
    const request = this.requestId === undefined ? "" : ` (request ${this.requestId})`
    return `${this.method} ${this.path} was answered ${this.status} ${this.kind}: ${this.detail}${request}`
  }
}

/** No answer came. */
export class ConnectionError extends Data.TaggedError("@sluice/sdk-bulk-client/ConnectionError")<{
  readonly method: string
  readonly path: string
  readonly description: string
  /** Whether the request may have been executed. A create without an idempotency key must not be sent again then. */
  readonly mayHaveReachedServer: boolean
  /** Whether `timeout`, `readTimeout` or `poolTimeout` ended it. */
  readonly isTimeout: boolean
  readonly cause: unknown
}> {
  override get message(): string {
    return `${this.method} ${this.path} got no answer: ${this.description}`
  }
}

/** An answer came that is not what the API promises. */
export class UnexpectedResponse extends Data.TaggedError("@sluice/sdk-bulk-client/UnexpectedResponse")<{
  readonly method: string
  readonly path: string
  readonly description: string
  /** How the answer begins. After a create it may name what was created. */
  readonly body: string
}> {
  override get message(): string {
    return `${this.method} ${this.path} was answered with something else than promised: ${this.description}`
  }
}

/** The input of a bulk operation broke off. Everything that had been read before it has its result. */
export class InputFailed extends Data.TaggedError("@sluice/sdk-bulk-client/InputFailed")<{
  /** How many items had been read. */
  readonly read: number
  readonly cause: unknown
}> {
  override get message(): string {
    return `Cannot read on after ${this.read} items: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** Whatever a call can fail with. */
export type CallError = ApiError | ConnectionError | UnexpectedResponse
