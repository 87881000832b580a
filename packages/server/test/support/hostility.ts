// Requests that nobody should send, each made from a number, so that a run can be had
// again: a text to write, and what to do then.

export interface Attack {
  readonly name: string
  /** What is written, one after the other. */
  readonly writes: ReadonlyArray<string | Uint8Array>
  /** `listen` until it is answered or closed, `leave` at once, or `half` a close after what was written. */
  readonly ending: "listen" | "leave" | "half"
}

/** Numbers that are the same for the same seed (xorshift). */
const random = (seed: number) => {
  let state = seed * 2_654_435_761 || 1
  return (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return Math.abs(state) % below
  }
}

const head = (line: string, ...fields: ReadonlyArray<string>): string =>
  `${[line, "Host: localhost", ...fields].join("\r\n")}\r\n\r\n`

const post = (path: string, body: string, ...fields: ReadonlyArray<string>): string =>
  head(`POST ${path} HTTP/1.1`, `Content-Length: ${Buffer.byteLength(body)}`, ...fields) + body

const json = "Content-Type: application/json"

const kinds: ReadonlyArray<(pick: (below: number) => number) => Attack> = [
  (pick) => ({
    name: "garbage",
    writes: [Uint8Array.from({ length: 1 + pick(300) }, () => pick(256))],
    ending: "half"
  }),
  (pick) => ({
    name: "request lines",
    writes: [
      `${
        [
          "GET",
          "GET / HTTP/9.9",
          "GET  /  HTTP/1.1",
          "get /search HTTP/1.1",
          "BREW /pot HTTP/1.1",
          "PRI * HTTP/2.0",
          "CONNECT localhost:1 HTTP/1.1",
          "TRACE / HTTP/1.1",
          "OPTIONS * HTTP/1.1",
          "GET /search HTTP/1.0",
          "GET \u0000 HTTP/1.1",
          "GET http://[::1 HTTP/1.1",
          "GET http://user:word@elsewhere:99999/search HTTP/1.1",
          "GET //search HTTP/1.1",
          "GET ///../../etc/passwd HTTP/1.1"
        ][pick(15)]
      }\r\nHost: localhost\r\nConnection: close\r\n\r\n`
    ],
    ending: "half"
  }),
  (pick) => ({
    name: "paths",
    writes: [
      head(
        `GET ${["/items/%", "/items/%ff%fe", "/items/%00", "/items/..%2f..%2f", "/items/%E0%A4%A", `/items/${"a".repeat(3000)}`, "/items/", `/${"a/".repeat(500)}`, "/search?%%%=%&&&==", "/search?__proto__[x]=1", "/search#x", "/constructor", "/items/{}"][pick(13)]} HTTP/1.1`,
        "Connection: close"
      )
    ],
    ending: "listen"
  }),
  (pick) => ({
    name: "fields",
    writes: [
      head(
        "GET /search HTTP/1.1",
        [
          "Bad Name: x",
          ": x",
          "X-Nul: \u0000",
          "X-Fold: a\r\n b",
          "Content-Length: -1",
          "Content-Length: 1e3",
          "Content-Length: 5\r\nContent-Length: 6",
          "Transfer-Encoding: chunked\r\nContent-Length: 5",
          "Transfer-Encoding: cow",
          "Host: other",
          "Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
          "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
          "Expect: 200-maybe",
          `Cookie: ${"a=b; ".repeat(800)}`,
          "Accept-Encoding: gzip;q=nonsense"
        ][pick(15)] ?? "X: y",
        "Connection: close"
      )
    ],
    ending: "half"
  }),
  (pick) => ({
    name: "names and deadlines",
    writes: [
      head(
        "GET /search HTTP/1.1",
        [
          "X-Request-Deadline: 0",
          "X-Request-Deadline: never",
          "X-Request-Deadline: 99999999999999999999",
          "Grpc-Timeout: 0n",
          "Grpc-Timeout: 99999999H",
          "Grpc-Timeout: -1S",
          `X-Request-Id: ${"<script>".repeat(50)}`,
          "X-Request-Id: $" + "{jndi:ldap://x}",
          `X-Forwarded-For: ${"1.2.3.4, ".repeat(300)}`,
          'Forwarded: for="[::1";for=;;;=,,for=_x',
          `X-Forwarded-For: ${pick(256)}.${pick(256)}.${pick(256)}.${pick(256)}`,
          `X-Api-Key: ${"k".repeat(2000)}`
        ][pick(12)] ?? "X: y",
        "Connection: close"
      )
    ],
    ending: "listen"
  }),
  (pick) => ({
    name: "large heads",
    writes: [head("GET /search HTTP/1.1", `X-Large: ${"x".repeat(17_000 + pick(9000))}`)],
    ending: "listen"
  }),
  (pick) => ({
    name: "large bodies",
    writes: [
      [
        head("POST /uploads HTTP/1.1", "Content-Length: 99999999999"),
        head("POST /uploads HTTP/1.1", "Content-Length: 70000") + "x".repeat(70_000),
        `${head("POST /uploads HTTP/1.1", "Transfer-Encoding: chunked")}11170\r\n${"x".repeat(70_000)}\r\n0\r\n\r\n`,
        `${head("POST /orders HTTP/1.1", json, "Transfer-Encoding: chunked")}11170\r\n${"[".repeat(70_000)}\r\n0\r\n\r\n`
      ][pick(4)] ?? ""
    ],
    ending: "listen"
  }),
  (pick) => ({
    name: "bodies",
    writes: [
      [
        post("/orders", "{", json, "Connection: close"),
        post("/orders", "", json, "Connection: close"),
        post("/orders", '{"name":1,"count":"x"}', json, "Connection: close"),
        post("/orders", '{"__proto__":{"x":1}}', json, "Connection: close"),
        post("/orders", "[".repeat(20_000), json, "Connection: close"),
        post("/orders", "\ud800", json, "Connection: close"),
        post("/orders", "name=x", "Content-Type: application/x-www-form-urlencoded", "Connection: close"),
        post("/orders", "--b\r\nnot", "Content-Type: multipart/form-data; boundary=b", "Connection: close"),
        `${head("POST /uploads HTTP/1.1", "Transfer-Encoding: chunked")}zz\r\nx\r\n0\r\n\r\n`,
        `${head("POST /uploads HTTP/1.1", "Transfer-Encoding: chunked")}5;${"e".repeat(17_000)}\r\nhello\r\n0\r\n\r\n`,
        head("POST /uploads HTTP/1.1", "Expect: 100-continue", "Content-Length: 5", "Connection: close")
      ][pick(11)] ?? ""
    ],
    ending: "half"
  }),
  (pick) => ({
    name: "slow, and gone",
    writes: [
      [
        "GET /sea",
        "GET /search HTTP/1.1\r\nHost: lo",
        `${head("POST /uploads HTTP/1.1", "Content-Length: 100")}abc`,
        `${head("POST /uploads HTTP/1.1", "Transfer-Encoding: chunked")}5\r\nhe`,
        ""
      ][pick(5)] ?? ""
    ],
    ending: "leave"
  }),
  (pick) => ({
    name: "answers not waited for",
    writes: [head(`GET ${["/stream", "/stuck", "/search"][pick(3)]} HTTP/1.1`)],
    ending: "leave"
  }),
  (pick) => ({
    name: "many in one",
    writes: [head("GET /search HTTP/1.1").repeat(2 + pick(10)) + head("GET /search HTTP/1.1", "Connection: close")],
    ending: "listen"
  }),
  (pick) => ({
    name: "what is in order",
    writes: [
      [
        head("GET /search?q=1 HTTP/1.1", "Connection: close"),
        head("GET /stream HTTP/1.1", "Connection: close"),
        post("/orders", '{"name":"a","count":1}', json, "Connection: close"),
        post("/uploads", "hello", "Connection: close")
      ][pick(4)] ?? ""
    ],
    ending: "listen"
  })
]

/** What waits for a timeout takes long: a few of these do. */
const slow: ReadonlyArray<Attack> = [
  { name: "slow heads", writes: ["GET /search HTTP/1.1\r\nHost: lo"], ending: "listen" },
  { name: "slow bodies", writes: [head("POST /uploads HTTP/1.1", "Content-Length: 100"), "abc"], ending: "listen" },
  { name: "silence", writes: [], ending: "listen" }
]

export const attack = (index: number): Attack => {
  const late = index % 500 === 0 ? slow[(index / 500) % slow.length] : undefined
  const kind = kinds[index % kinds.length]
  if (kind === undefined) throw new Error("There are kinds")
  return late ?? kind(random(index + 1))
}
