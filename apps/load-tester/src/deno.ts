/**
 * Import this before anything else in a long-running program on Deno. On other
 * runtimes it does nothing.
 *
 * Effect makes an `AsyncResource` whenever a fiber suspends, inside of the one
 * that the fiber was resumed in. On Deno (2.9) each of them keeps the one before
 * it, so a fiber that suspends a million times holds 440 MB in the end. Without
 * `AsyncResource` fibers do as well, except that an `AsyncLocalStorage` of the
 * program is not seen inside of them.
 *
 * @module
 */
import process from "node:process"

if ("Deno" in globalThis) {
  const original = process.getBuiltinModule
  Object.defineProperty(process, "getBuiltinModule", {
    configurable: true,
    writable: true,
    value: (name: string): unknown => {
      if (name !== "node:async_hooks") return original(name)
      // Effect asks once, as it is loaded; whoever asks next is somebody else.
      Object.defineProperty(process, "getBuiltinModule", { configurable: true, writable: true, value: original })
      return undefined
    }
  })
}
