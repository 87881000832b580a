// Server-sent events, as a page receives them.

export interface Watch {
  /** The next event; `undefined` once there are no more. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests look into what the server says
  next(): Promise<any>
  close(): void
}

export const watch = async (url: string, headers: Record<string, string> = {}): Promise<Watch> => {
  const abort = new AbortController()
  const response = await fetch(url, { headers, signal: abort.signal })
  if (response.status !== 200 || response.body === null) throw new Error(`The events are a ${response.status}`)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let buffer = ""
  return {
    next: async () => {
      for (;;) {
        const end = buffer.indexOf("\n\n")
        if (end >= 0) {
          const event = buffer.slice(0, end)
          buffer = buffer.slice(end + 2)
          const data = /^data: (.*)$/m.exec(event)?.[1]
          if (data !== undefined) return JSON.parse(data)
          continue
        }
        const { done, value } = await reader.read()
        if (done) return undefined
        buffer += value
      }
    },
    close: () => abort.abort()
  }
}
