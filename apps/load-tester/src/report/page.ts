// The page that charts and tables stand in, with its styles for light and dark.

import { escaped } from "./charts.ts"

const styles = `
:root{color-scheme:light dark;--page:#fbfbfa;--card:#ffffff;--ink:#1b1b1a;--soft:#666560;--rule:#e4e3de;
--q1:#9cc5f2;--q2:#5f9fe4;--q3:#2a78d6;--q4:#1b5299;--q5:#10315c;--bad:#cf3a3a;--warn:#c77700;--good:#2b8a3e;--plan:#8a8a84;
--p0:#c77700;--p1:#8f5bd1;--p2:#0f9a8a;--p3:#2a78d6;--p4:#9cc5f2;
--h0:#e6f0fb;--h1:#c3dcf6;--h2:#9cc5f2;--h3:#6ba8e8;--h4:#3f88da;--h5:#215fae;--h6:#10315c}
@media (prefers-color-scheme:dark){:root{--page:#161615;--card:#1f1f1e;--ink:#efeeea;--soft:#a3a29b;--rule:#34332f;
--q1:#2f5c8f;--q2:#3f7fc4;--q3:#5b9fe6;--q4:#93c3f5;--q5:#cfe4fb;--bad:#f06a6a;--warn:#e8a13a;--good:#5fc274;--plan:#85847d;
--p0:#e8a13a;--p1:#b48be8;--p2:#3fc4b3;--p3:#5b9fe6;--p4:#2f5c8f;
--h0:#1c2a3a;--h1:#1f3d5e;--h2:#255488;--h3:#3475b8;--h4:#5b9fe6;--h5:#93c3f5;--h6:#dcebfc}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0}h2{font-size:17px;margin:0}h3{font-size:14px;margin:0 0 6px}
.note{color:var(--soft);margin:2px 0 10px;font-size:14px}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:16px 18px;margin:16px 0}
svg{display:block;width:100%;height:auto}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(100px,1fr));gap:10px;margin:18px 0}
.tile{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:9px 11px}
.tile span{color:var(--soft);font-size:13px;display:block}.tile b{font-size:17px;font-weight:600;white-space:nowrap}
.tile.wrong b{color:var(--bad)}
.state{font-weight:600;margin:6px 0 0}.met{color:var(--good)}.crossed{color:var(--bad)}
.verdicts{list-style:none;margin:8px 0 0;padding:0;font:13px/1.9 ui-monospace,monospace}
.warnings{color:var(--warn);margin:0 0 10px;padding-left:18px}
.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}.tick{fill:var(--soft);font:11px system-ui,sans-serif}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.area{stroke:none}
.hover{fill:var(--ink);fill-opacity:0}.hover:hover{fill-opacity:.07}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft);margin-bottom:6px}
.legend i{display:inline-block;width:14px;height:4px;border-radius:2px;margin:0 6px 3px 0;vertical-align:middle}
${["q1", "q2", "q3", "q4", "q5", "bad", "warn", "plan"]
  .map((name) => `.line.${name}{stroke:var(--${name})}i.${name}{background:var(--${name})}`)
  .join("")}
.line.plan{stroke-dasharray:5 4}
${[0, 1, 2, 3, 4].map((index) => `.phase${index}{fill:var(--p${index})}i.phase${index}{background:var(--p${index})}`).join("")}
${[0, 1, 2, 3, 4, 5, 6].map((index) => `.heat${index}{fill:var(--h${index})}`).join("")}
.dot{fill:var(--q3)}.dot.broken{fill:var(--bad)}.limit{stroke:var(--bad);stroke-dasharray:4 4}.found{stroke:var(--good);stroke-width:1.5}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums;margin:6px 0}
th,td{text-align:right;padding:5px 8px;border-bottom:1px solid var(--rule);white-space:nowrap}
th{color:var(--soft);font-weight:500}th:first-child,td:first-child{text-align:left}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:24px;margin-bottom:10px}
.bar{display:grid;grid-template-columns:160px 1fr 80px;gap:10px;align-items:center;font-size:13px;font-variant-numeric:tabular-nums}
.bar span{overflow:hidden;text-overflow:ellipsis}.bar span:last-child{text-align:right}.track{background:var(--rule);border-radius:3px;height:8px}.track i{display:block;height:8px;border-radius:3px;min-width:2px}
footer{color:var(--soft);font-size:13px;margin-top:24px}
`

export const page = (title: string, content: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escaped(title)}</title>
<style>${styles}</style>
</head>
<body><main>
${content}
<footer>Made by sluice-load.</footer>
</main></body>
</html>
`
