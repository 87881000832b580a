// A socket that reads without a stream's buffers: into a place that is used again
// for each read. What is handed over has to be used up, or copied, at once.

import * as net from "node:net"
import * as tls from "node:tls"

/** Where a wire goes. */
export interface Origin {
  readonly host: string
  readonly port: number
  readonly isSecure: boolean
  readonly insecure: boolean
}

/** Who has the wire. */
export interface WireUser {
  /** The connection is there; where it is secure, its handshake comes next. */
  readonly connected: () => void
  /** It can be written to. */
  readonly ready: () => void
  /** `length` bytes are at the beginning of `buffer`. */
  readonly received: (buffer: Buffer, length: number) => void
  /** It is no more; called once. */
  readonly closed: (error: unknown) => void
}

const securePorts = new Set(["https:", "wss:", "grpcs:"])

export const originOf = (url: URL, insecure: boolean): Origin => {
  const isSecure = securePorts.has(url.protocol)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (isSecure ? 443 : 80) : Number(url.port),
    isSecure,
    insecure
  }
}

// On Node what a read brings is used up before the next read, so that all sockets read into one place; the others have each
// socket's reads under way at once.
const isNode = process.versions["bun"] === undefined && process.versions["deno"] === undefined
const sharedBuffer = isNode ? Buffer.allocUnsafeSlow(64 * 1024) : undefined

export const open = ({ host, insecure, isSecure, port }: Origin, user: WireUser): net.Socket => {
  const buffer = sharedBuffer ?? Buffer.allocUnsafeSlow(16 * 1024)
  const onread = {
    buffer,
    callback: (length: number): boolean => {
      user.received(buffer, length)
      return true
    }
  }
  let socket: net.Socket
  if (isSecure) {
    // The types of tls.connect leave out `onread`, which it passes on to the socket.
    const options: tls.ConnectionOptions & { readonly onread: typeof onread } = {
      host,
      port,
      ...(net.isIP(host) === 0 ? { servername: host } : {}),
      rejectUnauthorized: !insecure,
      onread
    }
    socket = tls.connect(options, user.ready)
  } else {
    socket = net.connect({ host, port, noDelay: true, onread })
  }
  let failure: unknown
  socket.once("connect", () => {
    user.connected()
    if (isSecure) socket.setNoDelay(true)
    else user.ready()
  })
  // For runtimes that leave `onread` alone.
  socket.on("data", (chunk: Buffer) => user.received(chunk, chunk.length))
  socket.once("error", (error) => {
    failure = error
  })
  socket.once("end", () => socket.destroy())
  socket.once("close", () => user.closed(failure))
  return socket
}
