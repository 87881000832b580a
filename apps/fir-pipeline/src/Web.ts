/**
 * The officer's page, served from files that are read once at the start.
 *
 * @module
 */
import { readFileSync } from "node:fs"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

// Nothing from elsewhere, no inline script: a complaint that carries markup can do nothing here.
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

const page = (path: "/" | `/web/${string}`, file: string, contentType: string) =>
  Layer.unwrap(
    Effect.sync(() => {
      const body = readFileSync(new URL(`../web/${file}`, import.meta.url))
      const response = HttpServerResponse.uint8Array(body, {
        contentType,
        headers: { "content-security-policy": POLICY }
      })
      return HttpRouter.add("GET", path, Effect.succeed(response))
    })
  )

export const routes = Layer.mergeAll(
  page("/", "index.html", "text/html; charset=utf-8"),
  page("/web/app.js", "app.js", "text/javascript; charset=utf-8"),
  page("/web/texts.js", "texts.js", "text/javascript; charset=utf-8"),
  page("/web/icon.svg", "icon.svg", "image/svg+xml"),
  page("/web/style.css", "style.css", "text/css; charset=utf-8")
)
