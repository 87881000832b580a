import { expect, it, vi } from "vitest"
import * as LiveView from "../../src/output/LiveView.ts"
import * as Progress from "../../src/output/Progress.ts"
import { make } from "./sample.ts"

const frame = { plannedSeconds: 30, width: 100, cost: 0.0042, isColoured: false }

it("draws rates, quantiles, errors and a heat map", () => {
  expect(LiveView.render({ ...frame, result: make({ seconds: 24 }) }).join("\n")).toMatchInlineSnapshot(`
    "sample  ████████████████████████░░░░░░ 24s of 30s

    rate       50/s now, 50/s in the mean, planned 50/s, 28 under way
    requests   1,200, 17 failed (1.42%), 6 dropped, 2.5 MB received
    latency    p50 7.13ms    p90 9.68ms    p99 132.68ms  p99.9 147.06ms  p99.99 147.37ms  max 147.37ms
    last 10 s  p50 6.96ms    p90 9.43ms    p99 12.23ms   p99.9 89.96ms   p99.99 89.96ms   max 89.96ms
    errors     status_5xx 15, timeout 2

    requests a second
         55/s ███████▇█████▇████▇█████
    latency: how many in each second
    ≤262.14ms        ▓░               
    ≤131.07ms  ░    ░█▒ ▒░  ░░   ▒    
     ≤65.54ms        ▒                
     ≤32.77ms                         
     ≤16.38ms ██▓▓██▓ █▓▓▓█▓▓▓▓█▓█▓██▓
      ≤8.19ms ███████ ████████████████
       ≤4.1ms ▒       ░░░░ ░     ░░  ░

    ! 6 of 1206 iterations were planned and not begun, since as many as may be were under way: the rate was not reached
    this view takes 0.4 % of a core; --plain does without"
  `)
})

it("draws the beginning, when there is nothing", () => {
  expect(
    LiveView.render({ ...frame, plannedSeconds: undefined, result: make({ seconds: 0 }) }).join("\n")
  ).toMatchInlineSnapshot(`
    "sample  0s

    rate       0/s now, 0/s in the mean, 0 under way
    requests   0, 0 failed (0.00%), 0 B received
    latency    p50 0s        p90 0s        p99 0s        p99.9 0s        p99.99 0s        max 0s
    last 10 s  p50 0s        p90 0s        p99 0s        p99.9 0s        p99.99 0s        max 0s

    this view takes 0.4 % of a core; --plain does without"
  `)
})

it("tells a moment in one line for logs", () => {
  expect(LiveView.line(make({ seconds: 8 }))).toMatchInlineSnapshot(
    `"    8s        45/s  p50 102.16ms   p99 147.37ms   requests 400  failed 17  dropped 6"`
  )
})

const screen = (isTerminal: boolean) => {
  const written: Array<string> = []
  const made: Progress.Screen = { write: (text) => written.push(text), isTerminal, width: () => 20, isColoured: false }
  return { ...made, written }
}

it("draws over what it drew, and leaves nothing behind", () => {
  const { written, ...to } = screen(true)
  const canvas = Progress.makeCanvas(to)
  canvas.draw(["one", "\u001b[31ma line that is longer than the screen\u001b[0m"])
  canvas.draw(["one"])
  canvas.clear()
  expect(written).toEqual([
    "one\u001b[K\n\u001b[31ma line that is long\u001b[0m\u001b[K\n\u001b[J",
    "\u001b[2A\rone\u001b[K\n\u001b[J",
    "\u001b[1A\r\u001b[J"
  ])
})

it("draws on a terminal, and tells lines where there is none or a build runs", () => {
  const asked = { plain: false, quiet: false }
  const before = process.env["CI"]
  delete process.env["CI"]
  expect(Progress.modeFor(screen(true), asked)).toBe("live")
  expect(Progress.modeFor(screen(false), asked)).toBe("plain")
  expect(Progress.modeFor(screen(true), { ...asked, plain: true })).toBe("plain")
  expect(Progress.modeFor(screen(true), { plain: true, quiet: true })).toBe("quiet")
  process.env["CI"] = "true"
  expect(Progress.modeFor(screen(true), asked)).toBe("plain")
  if (before === undefined) delete process.env["CI"]
  else process.env["CI"] = before
})

it("draws a run of an hour fast enough for its rate of frames", () => {
  const result = make({ seconds: 3_600, perSecond: 20 })
  const lines = LiveView.render({ ...frame, result })
  expect(lines.length).toBeLessThan(30)
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(160)
})

it("tells a line every five seconds where there is no terminal, and draws twice a second where there is", () => {
  vi.useFakeTimers()
  try {
    const read = () => make({ seconds: 3 })
    const shown = (mode: Progress.Mode) => {
      const { written, ...to } = screen(true)
      const end = Progress.show({ mode, screen: to, read, plannedSeconds: 30 })
      vi.advanceTimersByTime(10_000)
      end()
      vi.advanceTimersByTime(10_000)
      return written
    }
    expect(shown("quiet")).toEqual([])
    const line = `${LiveView.line(read())}\n`
    expect(shown("plain")).toEqual([line, line])
    expect(shown("live")).toHaveLength(21)
  } finally {
    vi.useRealTimers()
  }
})
