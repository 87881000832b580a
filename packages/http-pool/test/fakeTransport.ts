// A transport without a network, for tests that explore schedules: sockets that
// connect a turn later, and a client that answers as it is told to. It calls the
// pool as the real one does: never from inside of a call of the pool's.

import { EventEmitter } from "node:events"
import * as net from "node:net"
import type { Network } from "../src/internal/dial.ts"
import type { Client, ClientOptions, DispatchOptions, Handler, Undici } from "../src/internal/undici.ts"

/** What becomes of a request, by its path. */
export type Fate = "answered" | "never answered" | "reset" | "never connected"

export interface FakeTransport {
  readonly undici: Undici
  readonly network: Pick<Network, "net">
  /** Requests on the wire now, the most that there were at once, and all. */
  readonly wire: { now: number; most: number; all: number }
  /** Sockets that are open or being opened, and the most that there were at once. */
  readonly sockets: { now: number; most: number }
}

const fateOf = (path: string): Fate => {
  if (path.includes("stall")) return "never answered"
  return path.includes("reset") ? "reset" : "answered"
}

export const fakeTransport = (isUnreachable = false): FakeTransport => {
  const wire = { now: 0, most: 0, all: 0 }
  const sockets = { now: 0, most: 0 }

  const connect = (): net.Socket => {
    const socket = new net.Socket()
    sockets.now++
    sockets.most = Math.max(sockets.most, sockets.now)
    let isOpen = true
    // The socket's own would tell of its end by way of the runtime, after all schedules.
    socket.destroy = () => {
      if (isOpen) sockets.now--
      isOpen = false
      return socket
    }
    Object.defineProperty(socket, "destroyed", { get: () => !isOpen })
    if (!isUnreachable) setImmediate(() => isOpen && socket.emit("connect"))
    return socket
  }

  class FakeClient extends EventEmitter implements Client {
    private readonly options: ClientOptions
    private socket: net.Socket | undefined
    private handler: Handler | undefined
    private isDestroyed = false

    constructor(_origin: string, options: ClientOptions) {
      super()
      this.options = options
    }

    dispatch({ path }: DispatchOptions, handler: Handler): boolean {
      this.handler = handler
      if (this.socket !== undefined) {
        this.later(() => this.exchange(path, handler))
        return true
      }
      this.options.connect(undefined, (error, socket) => {
        if (this.isDestroyed) return
        if (error === null) {
          this.socket = socket
          this.exchange(path, handler)
        } else {
          handler.onResponseError(undefined, error)
        }
      })
      return true
    }

    destroy(_error: Error | null, callback: () => void): void {
      if (this.isDestroyed) return
      this.isDestroyed = true
      this.socket?.destroy()
      const { handler } = this
      this.leaveWire()
      setImmediate(() => {
        handler?.onResponseError(undefined, new Error("The client is destroyed"))
        callback()
      })
    }

    private leaveWire(): void {
      if (this.handler !== undefined && this.isOnWire) wire.now--
      this.isOnWire = false
      this.handler = undefined
    }

    private isOnWire = false

    private exchange(path: string, handler: Handler): void {
      this.isOnWire = true
      wire.now++
      wire.all++
      wire.most = Math.max(wire.most, wire.now)
      handler.onRequestStart({ pause: () => {}, resume: () => {}, abort: () => {} })
      handler.onRequestSent()
      const fate = fateOf(path)
      if (fate === "never answered") return
      this.later(() => {
        this.leaveWire()
        if (fate === "reset") {
          this.socket?.destroy()
          handler.onResponseError(undefined, Object.assign(new Error("reset"), { code: "ECONNRESET" }))
          return
        }
        const controller = { pause: () => {}, resume: () => {}, abort: () => {} }
        handler.onResponseStart(controller, 200, {})
        handler.onResponseData(controller, new TextEncoder().encode(path))
        handler.onResponseEnd()
      })
    }

    private later(run: () => void): void {
      setImmediate(() => {
        if (!this.isDestroyed) run()
      })
    }
  }

  return { undici: { Client: FakeClient }, network: { net: { ...net, connect } }, wire, sockets }
}
