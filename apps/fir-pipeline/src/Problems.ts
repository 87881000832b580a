/**
 * What the server says when it cannot do what it was asked: problem details of
 * RFC 9457, one type a condition.
 *
 * @module
 */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"

const type = <const Name extends string>(name: Name): `urn:fir:problem:${Name}` => `urn:fir:problem:${name}`

export class BadRequest extends HttpApiError.Problem<BadRequest>()("BadRequest", {
  type: type("bad-request"),
  status: 400,
  title: "The request cannot be read"
}) {}

export class NotAwaitingValidation extends HttpApiError.Problem<NotAwaitingValidation>()("NotAwaitingValidation", {
  type: type("not-awaiting-validation"),
  status: 400,
  title: "The session awaits no such answer"
}) {}

export class Unauthorized extends HttpApiError.Problem<Unauthorized>()("Unauthorized", {
  type: type("unauthorized"),
  status: 401,
  title: "A valid key is needed"
}) {}

export class Forbidden extends HttpApiError.Problem<Forbidden>()("Forbidden", {
  type: type("forbidden"),
  status: 403,
  title: "This is switched off"
}) {}

export class NotFound extends HttpApiError.Problem<NotFound>()("NotFound", {
  type: type("not-found"),
  status: 404,
  title: "There is no such thing"
}) {}

export class ConflictProblem extends HttpApiError.Problem<ConflictProblem>()("ConflictProblem", {
  type: type("conflict"),
  status: 409,
  title: "Another answer came first"
}) {}

export class TooLarge extends HttpApiError.Problem<TooLarge>()("TooLarge", {
  type: type("too-large"),
  status: 413,
  title: "The request is too large"
}) {}

export class UnsupportedType extends HttpApiError.Problem<UnsupportedType>()("UnsupportedType", {
  type: type("unsupported-type"),
  status: 415,
  title: "The content type is not supported"
}) {}

export class Invalid extends HttpApiError.Problem<Invalid>()(
  "Invalid",
  { type: type("invalid"), status: 422, title: "The request does not have the right form" },
  {
    errors: Schema.optionalKey(
      Schema.Array(
        Schema.Struct({ path: Schema.Array(Schema.Union([Schema.String, Schema.Number])), message: Schema.String })
      )
    )
  }
) {}

export class TooManyRequests extends HttpApiError.Problem<TooManyRequests>()(
  "TooManyRequests",
  { type: type("too-many-requests"), status: 429, title: "Too many requests" },
  { retry_after: Schema.Number }
) {}

export class Unavailable extends HttpApiError.Problem<Unavailable>()(
  "Unavailable",
  { type: type("unavailable"), status: 503, title: "The server cannot do this now" },
  { retry_after: Schema.Number }
) {}

export class ModelTimedOut extends HttpApiError.Problem<ModelTimedOut>()("ModelTimedOut", {
  type: type("model-timeout"),
  status: 504,
  title: "The model did not answer in time"
}) {}

/** What any call may say that needs the database. */
export const refusals = [Unavailable] as const
/** What a call with a body may say beside. */
export const bodyRefusals = [BadRequest, TooLarge, UnsupportedType, Invalid] as const
