// A run as a page of its own: nothing is loaded, and what there is can be read
// without its script, which only moves about in it.

import type { Failure } from "../Explorer.ts"
import type { Step } from "./scheduler.ts"
import { describeWait } from "./watch.ts"

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character] ?? "")

const style = `
:root { color-scheme: light dark; --ink: light-dark(#1c2024, #e6e8eb); --faint: light-dark(#5b6570, #9aa4ae);
  --paper: light-dark(#ffffff, #14171a); --card: light-dark(#f3f5f7, #1d2125); --line: light-dark(#d5dade, #343a40);
  --run: light-dark(#1f6feb, #6cb0ff); --runs: light-dark(#e3eefc, #1a2f49);
  --stop: light-dark(#8a5300, #f2b84b); --stops: light-dark(#fdf0d5, #3d2f10);
  --kill: light-dark(#b4232a, #ff8a8a); --kills: light-dark(#fde4e4, #471d20);
  --time: light-dark(#5f3dc4, #bba7ff); --times: light-dark(#eee8fd, #2c2450) }
* { box-sizing: border-box }
body { margin: 0; padding: 1.5rem clamp(1rem, 4vw, 3rem); background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.3rem; margin: 0 0 .5rem }
.type { display: inline-block; padding: 0 .6em; border-radius: 1em; background: var(--kills); color: var(--kill) }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: inherit }
code, kbd, td, th { font: 13px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
kbd { padding: 0 .35em; border: 1px solid var(--line); border-radius: .25em; background: var(--card) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin: 0 0 1rem }
.token { display: flex; gap: .75rem; align-items: center; flex-wrap: wrap }
.token code { overflow-wrap: anywhere }
button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: .35rem;
  padding: .15rem .7rem; cursor: pointer }
.bar { display: flex; gap: 1rem; flex-wrap: wrap; align-items: center; color: var(--faint); margin: 0 0 .75rem }
.scroll { overflow-x: auto }
table { border-collapse: separate; border-spacing: 0; min-width: 100% }
th { position: sticky; top: 0; z-index: 1; background: var(--paper); text-align: left; padding: .35rem .75rem;
  border-bottom: 2px solid var(--line) }
td { padding: .15rem .75rem; min-width: 11rem; border-left: 1px solid var(--line); vertical-align: top }
tbody th { position: static; font-weight: normal; color: var(--faint); text-align: right; border: 0; padding: .15rem .75rem }
td > span { display: block; padding: .05rem .5rem; border-radius: .3rem; border-left: 3px solid }
.run { background: var(--runs); border-color: var(--run) !important }
.preempted { background: var(--stops); border-color: var(--stop) !important; color: var(--stop) }
.interrupted { background: var(--kills); border-color: var(--kill) !important; color: var(--kill) }
.time { background: var(--times); border-color: var(--time) !important; color: var(--time) }
tr:focus { outline: 2px solid var(--run); outline-offset: -1px }
:focus-visible { outline: 2px solid var(--run); outline-offset: 1px }
table.brief tr[data-plain] { display: none }`

// Rows are one stop of the tab key, with the arrows moving among them.
const script = `
const table = document.querySelector("table"), rows = [...table.tBodies[0].rows]
let at = 0
const shown = (row) => row.offsetParent !== null
const go = (to) => { rows[at].tabIndex = -1; at = to; rows[at].tabIndex = 0; rows[at].focus() }
const seek = (step, fits) => { for (let to = at + step; to >= 0 && to < rows.length; to += step) if (shown(rows[to]) && fits(rows[to])) return go(to) }
const any = () => true, notable = (row) => !("plain" in row.dataset)
const brief = document.querySelector("#brief")
const toggle = () => { const on = table.classList.toggle("brief"); brief.setAttribute("aria-pressed", on) }
const keys = { ArrowDown: () => seek(1, any), j: () => seek(1, any), ArrowUp: () => seek(-1, any), k: () => seek(-1, any),
  Home: () => { at = -1; for (let to = 0; to < rows.length; to++) if (shown(rows[to])) { at = 0; return go(to) } },
  End: () => { for (let to = rows.length - 1; to >= 0; to--) if (shown(rows[to])) return go(to) },
  n: () => seek(1, notable), p: () => seek(-1, notable), b: toggle }
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLButtonElement && event.key.length > 1) return
  const act = keys[event.key]
  if (act) { event.preventDefault(); act() }
})
rows.forEach((row, to) => row.addEventListener("click", () => { if (!String(getSelection())) go(to) }))
brief.addEventListener("click", toggle)
document.querySelector("#copy").addEventListener("click", async (event) => {
  const code = document.querySelector("#token")
  try { await navigator.clipboard.writeText(code.textContent); event.target.textContent = "Copied" }
  catch { getSelection().selectAllChildren(code) }
})`

const labels = { run: "", preempted: "⤳ preempted", interrupted: "✗ interrupted", time: "⏲" } as const

const row = (fibers: ReadonlyArray<string>, step: Step, index: number): string => {
  const text = [labels[step.kind], step.marks.join(", ")].filter((part) => part !== "").join(" ")
  const cell = `<span class="${step.kind}">${text === "" ? "●" : escape(text)}</span>`
  const cells = fibers.map((_, fiber) => `<td>${fiber === step.fiber ? cell : ""}</td>`).join("")
  const isPlain = step.kind === "run" && step.marks.length === 0
  return `<tr tabindex="${index === 0 ? 0 : -1}"${isPlain ? " data-plain" : ""}><th scope="row">${index + 1}</th>${cells}</tr>`
}

/**
 * The timeline of a failure as an HTML page, for the longer ones: a column for each fiber, a row for each turn, all of
 * them. It loads nothing, is light or dark as the reader's system is, and can be used by keyboard alone.
 */
export const page = (failure: Failure, options: { readonly title?: string } = {}): string => {
  const title = escape(options.title ?? "A schedule that breaks the program")
  const waits = failure.waits.map((wait) => `<li>${escape(describeWait(wait))}</li>`).join("")
  // The message repeats the waits for those who read it in a terminal.
  const message = waits === "" ? failure.message : (failure.message.split("\n")[0] ?? "")
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${title}</title>
<style>${style}
</style>
</head>
<body>
<main>
<h1>${title} <span class="type">${failure.type}</span></h1>
<div class="card"><pre>${escape(message)}</pre>${waits === "" ? "" : `<ul>${waits}</ul>`}</div>
<div class="card token"><span>To repeat it:</span><code id="token">Explorer.replay("${escape(failure.token)}")</code><button id="copy" type="button">Copy</button><span>${failure.mode} mode</span></div>
<p class="bar"><button id="brief" type="button" aria-pressed="false">Only what is marked</button><span><kbd>↑</kbd> <kbd>↓</kbd> row</span><span><kbd>n</kbd> <kbd>p</kbd> next or previous mark, preemption, interruption</span><span><kbd>Home</kbd> <kbd>End</kbd></span><span><kbd>b</kbd> only what is marked</span></p>
<div class="scroll"><table aria-label="Timeline: a column for each fiber, a row for each turn">
<thead><tr><th scope="col">turn</th>${failure.fibers.map((name) => `<th scope="col">${escape(name)}</th>`).join("")}</tr></thead>
<tbody>
${failure.steps.map((step, index) => row(failure.fibers, step, index)).join("\n")}
</tbody>
</table></div>
</main>
<script>${script}
</script>
</body>
</html>
`
}
