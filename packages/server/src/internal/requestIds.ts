// Names of requests. A name that came with a request is kept if it is one that may
// stand in a log and in a header; else it is made here, from what is random for the
// process and a count: nobody needs to guess it, it has only to differ.

/** What may stand in a log line and a header as it is. */
const isName = /^[\w.:=+/@-]{1,128}$/

const randomPrefix = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}

export const makeRequestIds = (): ((received: string | undefined) => string) => {
  const prefix = randomPrefix()
  let count = 0
  return (received) =>
    received !== undefined && isName.test(received) ? received : `${prefix}-${(count++).toString(36)}`
}
