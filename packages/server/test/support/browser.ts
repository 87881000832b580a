// Chromium, driven over its DevTools protocol: enough to do what who watches does
// and to see what he sees.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"

/** Where Chromium is, if it is installed. */
export const chromium: string | undefined = (process.env["PATH"] ?? "")
  .split(delimiter)
  .flatMap((folder) => ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)))
  .find((path) => existsSync(path))

export interface Page {
  /** Runs an expression in the page; a promise is awaited. */
  evaluate(expression: string): Promise<unknown>
  /** Waits until an expression is true in the page. */
  until(expression: string): Promise<void>
  resize(width: number, height: number): Promise<void>
  /** What the one who looks prefers. */
  scheme(name: "light" | "dark"): Promise<void>
  screenshot(path: string): Promise<void>
  /** What the page wrote to its console as errors, and what it threw. */
  readonly errors: ReadonlyArray<string>
  close(): Promise<void>
}

interface Message {
  readonly id?: number
  readonly method?: string
  // biome-ignore lint/suspicious/noExplicitAny: the protocol's answers differ by method
  readonly result?: any
  // biome-ignore lint/suspicious/noExplicitAny: the protocol's events differ by method
  readonly params?: any
  readonly error?: { readonly message: string }
}

export const open = async (path: string, url: string, profile: string): Promise<Page> => {
  const browser = spawn(
    path,
    [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      "about:blank"
    ],
    { stdio: ["ignore", "ignore", "pipe"] }
  )
  const endpoint = await new Promise<string>((resolve, reject) => {
    let output = ""
    browser.stderr.on("data", (chunk) => {
      output += chunk
      const found = /DevTools listening on (ws:\S+)/.exec(output)?.[1]
      if (found !== undefined) resolve(found)
    })
    browser.once("exit", (code) => reject(new Error(`Chromium ended with code ${code}: ${output}`)))
  })
  const socket = new WebSocket(endpoint)
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true })
    socket.addEventListener("error", reject, { once: true })
  })
  const waiting = new Map<number, (message: Message) => void>()
  const errors: Array<string> = []
  let last = 0
  socket.addEventListener("message", ({ data }) => {
    const message: Message = JSON.parse(String(data))
    if (message.id !== undefined) waiting.get(message.id)?.(message)
    if (message.method === "Runtime.exceptionThrown") errors.push(message.params.exceptionDetails.text)
    if (message.method === "Log.entryAdded" && message.params.entry.level === "error")
      errors.push(message.params.entry.text)
  })
  const send = (method: string, params: object = {}, sessionId?: string) =>
    new Promise<NonNullable<Message["result"]>>((resolve, reject) => {
      const id = ++last
      waiting.set(id, ({ error, result }) => {
        waiting.delete(id)
        if (error === undefined) resolve(result)
        else reject(new Error(`${method}: ${error.message}`))
      })
      socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }))
    })
  const { targetId } = await send("Target.createTarget", { url: "about:blank" })
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true })
  const inPage = (method: string, params: object = {}) => send(method, params, sessionId)
  await Promise.all([inPage("Runtime.enable"), inPage("Log.enable"), inPage("Page.enable")])

  const evaluate = async (expression: string): Promise<unknown> => {
    const { exceptionDetails, result } = await inPage("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true
    })
    if (exceptionDetails !== undefined) {
      throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`)
    }
    return result.value
  }
  const page: Page = {
    evaluate,
    until: async (expression) => {
      // The page is asked at each of its own frames, so nothing here waits by the clock.
      await evaluate(`new Promise((resolve) => {
        const look = () => (${expression}) ? resolve(true) : requestAnimationFrame(look)
        look()
      })`)
    },
    resize: async (width, height) => {
      await inPage("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 })
    },
    scheme: async (name) => {
      await inPage("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: name }] })
    },
    screenshot: async (file) => {
      const { data } = await inPage("Page.captureScreenshot", { captureBeyondViewport: true })
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, Buffer.from(data, "base64"))
    },
    errors,
    close: async () => {
      const ended = once(browser, "exit")
      await send("Browser.close").catch(() => undefined)
      socket.close()
      await ended
    }
  }
  await inPage("Page.navigate", { url })
  await page.until(`document.readyState === "complete" && document.getElementById("main") !== null`)
  return page
}
