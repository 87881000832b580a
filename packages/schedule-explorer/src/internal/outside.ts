// Keeps a program from reaching for the real world while it is explored. A run
// is synchronous, so whatever it starts out there cannot answer before the run
// is over: with a timeout around it, it would even look as if it had been tried
// and had failed. So the ways out are closed for as long as a check takes.

/** What is closed, and what it is called. Whatever a runtime lacks is passed over. */
type Exits = ReadonlyArray<readonly [owner: object, names: ReadonlyArray<string>, prefix: string]>

const callbacks = [
  "access",
  "appendFile",
  "copyFile",
  "createReadStream",
  "createWriteStream",
  "lstat",
  "mkdir",
  "mkdtemp",
  "open",
  "opendir",
  "readFile",
  "readdir",
  "realpath",
  "rename",
  "rm",
  "stat",
  "unlink",
  "watch",
  "writeFile"
]

interface Builtins {
  readonly getBuiltinModule?: (name: string) => object | undefined
}

const builtin = (name: string): object => {
  const host: { readonly process?: Builtins } = globalThis
  return host.process?.getBuiltinModule?.(`node:${name}`) ?? {}
}

const member = (owner: object, name: string): unknown => Reflect.get(owner, name)

const prototypeOf = (module: string, name: string): object => {
  const found = member(builtin(module), name)
  return typeof found === "function" ? found.prototype : {}
}

const exits = (): Exits => [
  [
    globalThis,
    [
      "setTimeout",
      "setInterval",
      "setImmediate",
      "queueMicrotask",
      "clearTimeout",
      "clearImmediate",
      "fetch",
      "WebSocket",
      "EventSource",
      "XMLHttpRequest",
      "Worker"
    ],
    ""
  ],
  [Promise.prototype, ["then"], "a promise's "],
  [prototypeOf("net", "Socket"), ["connect"], "net.Socket."],
  [prototypeOf("net", "Server"), ["listen"], "net.Server."],
  [prototypeOf("dgram", "Socket"), ["bind", "connect", "send"], "dgram.Socket."],
  [builtin("fs"), callbacks, "fs."],
  [member(builtin("fs"), "promises") ?? {}, callbacks, "fs.promises."],
  [builtin("http"), ["request", "get"], "http."],
  [builtin("https"), ["request", "get"], "https."],
  [builtin("dns"), ["lookup", "resolve"], "dns."],
  [builtin("child_process"), ["spawn", "exec", "execFile", "fork"], "child_process."]
]

interface Exit {
  readonly owner: object
  readonly name: string
  readonly open: PropertyDescriptor
  readonly closed: PropertyDescriptor
}

/** Told of every attempt to get out. Throws, or answers in place of what is out there, or lets it through. */
type Guard = (what: string, args: ReadonlyArray<unknown>) => { readonly value: unknown } | undefined

let guard: Guard = () => undefined

const close = (owner: object, name: string, prefix: string): ReadonlyArray<Exit> => {
  const open = Object.getOwnPropertyDescriptor(owner, name)
  const value: unknown = member(owner, name)
  if (open?.configurable !== true || typeof value !== "function") return []
  const closed = new Proxy(value, {
    apply: (target, self, args) => {
      const answer = guard(prefix + name, args)
      return answer === undefined ? Reflect.apply(target, self, args) : answer.value
    },
    construct: (target, args, newTarget) => {
      guard(prefix + name, args)
      return Reflect.construct(target, args, newTarget)
    }
  })
  const { configurable, enumerable } = open
  return [
    { owner, name, open, closed: { value: closed, configurable, enumerable: enumerable ?? true, writable: true } }
  ]
}

let depth = 0

/** Runs `body` with the ways out closed. */
export const guarded = <A>(refuse: Guard, body: () => A): A => {
  const before = guard
  guard = refuse
  // Somebody else may have put something in its place since the last time, so each time is anew.
  const closed =
    depth > 0 ? [] : exits().flatMap(([owner, names, prefix]) => names.flatMap((name) => close(owner, name, prefix)))
  for (const exit of closed) Object.defineProperty(exit.owner, exit.name, exit.closed)
  depth++
  try {
    return body()
  } finally {
    depth--
    guard = before
    for (const exit of closed) Object.defineProperty(exit.owner, exit.name, exit.open)
  }
}

/** What the runtime calls the kinds of work that no program under test may begin, and what people do. */
const kinds: ReadonlyArray<readonly [RegExp, string]> = [
  [/^(FS|FILEHANDLE|STATWATCHER)/, "a file"],
  [/^(TCP|TLS|UDP|PIPECONNECT|PIPESERVER|GETADDRINFO|GETNAMEINFO|QUERY|HTTP|DNS)/, "the network"],
  [/^(PROCESS|WORKER)/, "another process or thread"],
  [/^(Timeout|Immediate)/, "a timer of the platform"]
]

interface AsyncHooks {
  readonly createHook: (hooks: { readonly init: (id: number, type: string) => void }) => {
    readonly enable: () => void
    readonly disable: () => void
  }
}

const isAsyncHooks = (module: object): module is AsyncHooks => "createHook" in module

/**
 * Runs `body`, and tells of the work that the runtime itself saw it begin, by whatever name it was called. Costs too much
 * to be had in each run, and only Node tells of all kinds.
 */
export const listening = <A>(heard: (what: string) => void, body: () => A): A => {
  const module = builtin("async_hooks")
  if (!isAsyncHooks(module)) return body()
  const hook = module.createHook({
    init: (_, type) => {
      const kind = kinds.find(([pattern]) => pattern.test(type))
      if (kind !== undefined) heard(kind[1])
    }
  })
  hook.enable()
  try {
    return body()
  } finally {
    hook.disable()
  }
}

/** What lies outside of the schedule and yet gives another answer each time. */
const sources: Exits = [
  [Date, ["now"], "Date."],
  [Math, ["random"], "Math."],
  [performance, ["now"], "performance."],
  [crypto, ["randomUUID", "getRandomValues"], "crypto."]
]

/** Runs `body`, and names the sources of chance that it drew from. */
export const suspecting = <A>(body: () => A): readonly [A, ReadonlyArray<string>] => {
  const drawn = new Set<string>()
  const undo: Array<() => void> = []
  for (const [owner, names, prefix] of sources) {
    for (const name of names) {
      const value: unknown = member(owner, name)
      if (typeof value !== "function") continue
      const own = Object.getOwnPropertyDescriptor(owner, name)
      const noted = function (this: unknown, ...args: ReadonlyArray<unknown>): unknown {
        drawn.add(prefix + name)
        return Reflect.apply(value, owner, args)
      }
      Object.defineProperty(owner, name, { value: noted, configurable: true, writable: true, enumerable: true })
      undo.push(() =>
        own === undefined ? Reflect.deleteProperty(owner, name) : Object.defineProperty(owner, name, own)
      )
    }
  }
  try {
    return [body(), [...drawn]]
  } finally {
    for (const restore of undo) restore()
  }
}
