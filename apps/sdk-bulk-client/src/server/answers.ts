// What the local API server answers, before it is made an HTTP response.

export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export const refusal = (status: number, detail: string, headers?: Readonly<Record<string, string>>): Answer => ({
  status,
  body: { detail },
  ...(headers === undefined ? {} : { headers })
})

/** The object, or that there is none. */
export const found = (object: object | undefined, what: string): Answer =>
  object === undefined ? refusal(404, `There is no ${what}`) : { status: 200, body: object }

export const removed = (isRemoved: boolean, what: string): Answer =>
  isRemoved ? { status: 204, body: undefined } : refusal(404, `There is no ${what}`)

export const notAnObject = refusal(400, "The body must be a JSON object")
