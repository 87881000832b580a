// From a host to a socket that is ready: TCP or a unix socket, through a proxy or
// not, with TLS or without.
//
// A proxy is asked for a tunnel (CONNECT) whatever the scheme, so that limits,
// timeouts and TLS are the same with a proxy and without.
import type { Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"
import type { TlsOptions } from "../HttpPool.ts"
import type { Names } from "./names.ts"

export interface Network {
  readonly net: typeof import("node:net")
  readonly tls: typeof import("node:tls")
  readonly http2: typeof import("node:http2")
  readonly dns: typeof import("node:dns/promises")
}

export interface Proxy {
  readonly isTls: boolean
  readonly host: string
  readonly port: number
  readonly authorization: string | undefined
  readonly except: ReadonlyArray<string>
}

export interface Route {
  readonly network: Network
  readonly names: Names
  readonly tls: TlsOptions
  readonly proxy: Proxy | undefined
  readonly socketPath: string | undefined
  readonly localAddress: string | undefined
}

export interface Target {
  readonly isTls: boolean
  readonly host: string
  readonly port: number
  /** The protocols to offer, the preferred one first. */
  readonly protocols: ReadonlyArray<string>
  readonly session: Buffer | undefined
}

export interface Events {
  /** TCP stands (through the proxy, if there is one), TLS begins. */
  readonly onHandshake: () => void
  readonly onSession: (session: Buffer) => void
  readonly onReady: (socket: Socket) => void
  readonly onError: (error: Error) => void
}

export interface Dialing {
  /** Ends it, with everything that has been opened. */
  readonly giveUp: () => void
}

const maxProxyHead = 16_384

export const parseTarget = (origin: string): Pick<Target, "isTls" | "host" | "port"> => {
  const { hostname, port, protocol } = new URL(origin)
  const isTls = protocol === "https:"
  const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname
  return { isTls, host, port: port === "" ? (isTls ? 443 : 80) : Number(port) }
}

const isExcepted = (host: string, except: ReadonlyArray<string>): boolean =>
  except.some((name) => (name.startsWith(".") ? host.endsWith(name) || host === name.slice(1) : host === name))

export const dial = (route: Route, target: Target, events: Events): Dialing => {
  const { net, tls } = route.network
  const proxy = route.proxy === undefined || isExcepted(target.host, route.proxy.except) ? undefined : route.proxy
  let isOver = false
  const fail = (error: Error): void => {
    if (isOver) return
    isOver = true
    route.names.forget(proxy?.host ?? target.host)
    first.destroy()
    events.onError(error)
  }
  const ready = (socket: Socket): void => {
    if (isOver) return
    isOver = true
    events.onReady(socket)
  }
  const secure = (socket: Socket | undefined, host: string, port: number, options: ConnectionOptions): Socket => {
    const at: ConnectionOptions = socket === undefined ? address(host, port) : { socket }
    const secured = tls.connect({
      ...(net.isIP(host) === 0 ? { servername: host } : undefined),
      ...at,
      ...options
    })
    secured.on("error", fail)
    return secured
  }
  const address = (host: string, port: number) =>
    route.socketPath === undefined
      ? {
          host,
          port,
          ...(net.isIP(host) === 0 ? { lookup: route.names.lookup } : undefined),
          ...(route.localAddress === undefined ? undefined : { localAddress: route.localAddress })
        }
      : { path: route.socketPath }
  const forTarget = (): ConnectionOptions => ({
    ...route.tls,
    ALPNProtocols: [...target.protocols],
    ...(target.session === undefined ? undefined : { session: target.session })
  })
  const secureTarget = (tunnel: Socket | undefined): Socket => {
    if (tunnel !== undefined) events.onHandshake()
    const secured = secure(tunnel, target.host, target.port, forTarget())
    secured.on("session", events.onSession)
    if (tunnel === undefined) secured.once("connect", events.onHandshake)
    secured.once("secureConnect", () => ready(secured))
    return secured
  }
  const plain = (host: string, port: number): Socket => {
    const socket = net.connect(address(host, port))
    socket.on("error", fail)
    return socket
  }

  let first: Socket
  if (proxy === undefined) {
    first = target.isTls ? secureTarget(undefined) : plain(target.host, target.port)
    if (!target.isTls) first.once("connect", () => ready(first))
  } else {
    first = proxy.isTls ? secure(undefined, proxy.host, proxy.port, {}) : plain(proxy.host, proxy.port)
    first.once(proxy.isTls ? "secureConnect" : "connect", () =>
      tunnel(first, proxy, target, fail, () => (target.isTls ? secureTarget(first) : ready(first)))
    )
  }
  first.setNoDelay(true)
  first.setKeepAlive(true, 60_000)
  return {
    giveUp: () => {
      isOver = true
      first.destroy()
    }
  }
}

const tunnel = (
  socket: Socket,
  proxy: Proxy,
  target: Target,
  onError: (error: Error) => void,
  onTunnel: () => void
): void => {
  const host = target.host.includes(":") ? `[${target.host}]` : target.host
  const authority = `${host}:${target.port}`
  const authorization = proxy.authorization === undefined ? "" : `proxy-authorization: ${proxy.authorization}\r\n`
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${authorization}\r\n`)
  let head = ""
  const onData = (chunk: Buffer): void => {
    head += chunk.toString("latin1")
    const end = head.indexOf("\r\n\r\n")
    if (end === -1) {
      if (head.length > maxProxyHead) onError(new Error("The proxy's answer has too much of a head"))
      return
    }
    socket.off("data", onData)
    socket.off("end", onEnd)
    socket.pause()
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]
    if (status === undefined || !status.startsWith("2")) {
      onError(new Error(`The proxy refused the tunnel: ${head.slice(0, head.indexOf("\r\n"))}`))
      return
    }
    if (head.length > end + 4) socket.unshift(Buffer.from(head.slice(end + 4), "latin1"))
    onTunnel()
  }
  const onEnd = (): void => onError(new Error("The proxy closed the connection"))
  socket.on("data", onData)
  socket.on("end", onEnd)
}
