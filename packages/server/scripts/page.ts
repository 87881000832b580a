// Writes the dashboard's page into the package as text: `node scripts/page.ts`, from
// this package, and then the formatter.

import { readFileSync, writeFileSync } from "node:fs"

const read = (name: string): string => readFileSync(new URL(`../page/${name}`, import.meta.url), "utf8")

/** Without what only an editor needs. Lines stay lines, so that an error in the page can be found. */
const compact = (source: string): string =>
  source
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("//") && !/^\/\*\*.*\*\/$/.test(line))
    .join("\n")

/** The page in the parts that are put together for each request. */
export const parts = (): Readonly<Record<"template" | "style" | "script", string>> => ({
  template: compact(read("dashboard.html")),
  style: compact(read("dashboard.css")),
  script: compact(read("dashboard.js"))
})

if (import.meta.main) {
  const constants = Object.entries(parts()).map(
    ([name, text]) => `export const ${name}: string = ${JSON.stringify(text)}\n`
  )
  writeFileSync(
    new URL("../src/internal/dashboardPage.ts", import.meta.url),
    [
      "// Written by scripts/page.ts from page/; not to be changed here.\n",
      "// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the text of another program\n",
      ...constants
    ].join("\n")
  )
}
