// Servers to load, on ports of their own.

import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import * as http from "node:http"
import * as http2 from "node:http2"
import * as https from "node:https"
import * as net from "node:net"

export interface Running {
  readonly port: number
  readonly close: () => Promise<void>
}

const listen = async (server: net.Server): Promise<Running> => {
  const sockets = new Set<net.Socket>()
  for (const event of ["connection", "secureConnection"]) {
    server.on(event, (socket: net.Socket) => {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
      socket.on("error", () => undefined)
    })
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}

export const httpServer = (handler: http.RequestListener): Promise<Running> => listen(http.createServer(handler))

const fixture = (name: string): string => readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8")

/** Its certificate is one that nobody trusts. */
export const httpsServer = (handler: http.RequestListener): Promise<Running> =>
  listen(https.createServer({ key: fixture("server.key"), cert: fixture("server.crt") }, handler))

type StreamHandler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void

export const http2Server = (handler: StreamHandler): Promise<Running> => {
  const server = http2.createServer()
  server.on("stream", (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on("error", () => undefined)
    handler(stream, headers)
  })
  return listen(server)
}

export const tcpServer = (handler: (socket: net.Socket) => void): Promise<Running> =>
  listen(
    net.createServer((socket) => {
      socket.on("error", () => undefined)
      handler(socket)
    })
  )

/** Says back each message of a WebSocket, and refuses other requests. */
export const echoWebSocketServer = (): Promise<Running> =>
  tcpServer((socket) => {
    let isOpen = false
    socket.on("data", (bytes) => {
      if (!isOpen) {
        const key = /Sec-WebSocket-Key: (\S+)/i.exec(String(bytes))?.[1]
        if (key === undefined || String(bytes).startsWith("GET /refused")) {
          socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
          return
        }
        const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
        )
        isOpen = true
        return
      }
      // Frames of the tests are short, come whole, and are masked with zeros.
      for (let at = 0; at + 6 <= bytes.length; ) {
        const opcode = (bytes[at] ?? 0) & 0x0f
        const length = (bytes[at + 1] ?? 0) & 0x7f
        const payload = bytes.subarray(at + 6, at + 6 + length)
        at += 6 + length
        if (opcode === 8) socket.end()
        if (opcode >= 8) continue
        // A ping, and the message in two parts, the second of them in two pieces.
        const first = Buffer.concat([Buffer.from([0x89, 0, opcode, 2]), payload.subarray(0, 2)])
        const second = Buffer.concat([Buffer.from([0x80, payload.length - 2]), payload.subarray(2)])
        socket.write(Buffer.concat([first, second.subarray(0, 1)]))
        setImmediate(() => socket.write(second.subarray(1)))
      }
    })
  })
