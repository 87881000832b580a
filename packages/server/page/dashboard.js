// The dashboard's page: takes samples as they come and draws them. Whatever comes
// from the server becomes text, never markup.

const byId = (id) => document.getElementById(id)
const svgNames = new Set(["svg", "path", "line"])

const make = (name, attributes = {}, ...children) => {
  const node = svgNames.has(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  node.append(...children)
  return node
}

const say = (node, text) => {
  // What has not changed is not written, so that it is not read out again.
  if (node.textContent !== text) node.textContent = text
}

const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 })
const amount = (value) => (value == null ? "–" : number.format(value))
const seconds = (value) => (value == null ? "–" : value < 1 ? `${amount(value * 1000)} ms` : `${amount(value)} s`)
const clock = (at) => new Date(at).toLocaleTimeString()

let samples = []
let spanMillis = 300_000
let isPaused = false

const shown = () => {
  const last = samples.at(-1)
  return last === undefined ? [] : samples.filter(({ at }) => at > last.at - spanMillis)
}

/** The path of a line through values, with gaps where there are none. */
const pathOf = (points, read, top, width, height) => {
  if (points.length === 0) return ""
  const end = points.at(-1).at
  const begin = Math.min(points[0].at, end - 1)
  let path = ""
  let isOpen = false
  for (const point of points) {
    const value = read(point)
    if (value == null) {
      isOpen = false
      continue
    }
    const x = ((point.at - begin) / (end - begin)) * width
    const y = height - 2 - (Math.min(value, top) / top) * (height - 6)
    path += `${isOpen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`
    // A value between two gaps is seen as a point.
    if (!isOpen) path += "h1.5"
    isOpen = true
  }
  return path
}

const topOf = (points, readers) => {
  let top = 0
  for (const point of points) for (const read of readers) top = Math.max(top, read(point) ?? 0)
  if (top === 0) return 1
  const step = 10 ** Math.floor(Math.log10(top))
  return Math.ceil(top / step) * step
}

/** A chart of up to three lines, with a table of the same figures behind it, and a cursor for the arrow keys. */
const chart = (title, lines, format) => {
  const paths = lines.map((_, index) => make("path", { class: `line series-${index + 1}` }))
  const cursor = make("line", { class: "cursor", y1: "0", y2: "130", visibility: "hidden" })
  const plot = make(
    "svg",
    { class: "plot", viewBox: "0 0 600 130", preserveAspectRatio: "none", role: "img", tabindex: "0" },
    make("line", { class: "grid", x1: "0", x2: "600", y1: "4", y2: "4" }),
    ...paths,
    cursor
  )
  const highest = make("span")
  const oldest = make("span")
  const figures = lines.map(() => make("span"))
  const legend = make(
    "ul",
    { class: "legend" },
    ...lines.map(({ name }, index) =>
      make(
        "li",
        {},
        make(
          "svg",
          { viewBox: "0 0 26 8", "aria-hidden": "true" },
          make("path", { class: `line series-${index + 1}`, d: "M0 4h26" })
        ),
        `${name}: `,
        figures[index]
      )
    )
  )
  const output = make("output", { "aria-live": "polite" })
  const body = make("tbody")
  const details = make(
    "details",
    {},
    make("summary", {}, `Table of ${title}`),
    make(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table of ${title}` },
      make(
        "table",
        {},
        make(
          "thead",
          {},
          make(
            "tr",
            {},
            make("th", { scope: "col" }, "Time"),
            ...lines.map(({ name }) => make("th", { scope: "col" }, name))
          )
        ),
        body
      )
    )
  )
  const node = make(
    "figure",
    {},
    make("figcaption", {}, title),
    make("div", { class: "axis" }, highest),
    plot,
    make("div", { class: "axis", "aria-hidden": "true" }, oldest, make("span", {}, "now")),
    legend,
    output,
    details
  )
  let at
  const tell = (point) =>
    `${clock(point.at)}: ${lines.map(({ name, read }) => `${name} ${format(read(point))}`).join(", ")}`
  const point = (index) => {
    const points = shown()
    if (points.length === 0) return
    at = Math.max(0, Math.min(points.length - 1, index))
    const chosen = points[at]
    const begin = points[0].at
    const x = String((600 * (chosen.at - begin)) / Math.max(1, points.at(-1).at - begin))
    cursor.setAttribute("x1", x)
    cursor.setAttribute("x2", x)
    cursor.setAttribute("visibility", "visible")
    say(output, tell(chosen))
  }
  const leave = () => {
    at = undefined
    cursor.setAttribute("visibility", "hidden")
    say(output, "")
  }
  plot.addEventListener("keydown", (event) => {
    const last = shown().length - 1
    const moves = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? last) + 1, Home: 0, End: last }
    if (event.key === "Escape") leave()
    if (!(event.key in moves)) return
    event.preventDefault()
    point(moves[event.key])
  })
  plot.addEventListener("blur", leave)
  plot.addEventListener("pointermove", (event) => {
    const { left, width } = plot.getBoundingClientRect()
    point(Math.round(((event.clientX - left) / width) * (shown().length - 1)))
  })
  plot.addEventListener("pointerleave", leave)
  const draw = () => {
    const points = shown()
    const last = points.at(-1)
    if (last === undefined) return
    const top = topOf(
      points,
      lines.map(({ read }) => read)
    )
    lines.forEach(({ read }, index) => {
      paths[index].setAttribute("d", pathOf(points, read, top, 600, 130))
      say(figures[index], format(read(last)))
    })
    say(highest, format(top))
    say(oldest, clock(points[0].at))
    plot.setAttribute("aria-label", `${title}. ${tell(last)}. Arrow keys go through the past.`)
    if (!details.open) return
    const step = Math.max(1, Math.ceil(points.length / 12))
    const rows = points.filter((_, index) => (points.length - 1 - index) % step === 0).reverse()
    body.replaceChildren(
      ...rows.map((row) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, clock(row.at)),
          ...lines.map(({ read }) => make("td", {}, format(read(row))))
        )
      )
    )
  }
  details.addEventListener("toggle", draw)
  return { node, draw }
}

/** Keeps things by name in a place, makes those that are new and takes away those that are gone. */
const keeper = (place, create) => {
  const kept = new Map()
  return (names) => {
    for (const [name, { node }] of kept) {
      if (names.includes(name)) continue
      node.remove()
      kept.delete(name)
    }
    for (const name of names) {
      if (kept.has(name)) continue
      const made = create(name)
      kept.set(name, made)
      place.append(made.node)
    }
    for (const { draw } of kept.values()) draw()
  }
}

const spark = (read, top) => {
  const path = make("path", { class: "line series-1" })
  const node = make(
    "svg",
    { class: "spark", viewBox: "0 0 140 26", preserveAspectRatio: "none", "aria-hidden": "true" },
    path
  )
  return {
    node,
    draw: () => {
      const points = shown()
      path.setAttribute("d", pathOf(points, read, top?.() ?? topOf(points, [read]), 140, 26))
    }
  }
}

/** A table of which each row is kept by its name. */
const table = (id, caption, columns, create, label = (name) => name) => {
  const body = make("tbody")
  const head = make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)))
  const node = make("table", { "aria-label": caption }, make("thead", {}, head), body)
  const none = make("p", { class: "none" }, "There are none.")
  const place = byId(id)
  // What scrolls must be within reach of the keyboard.
  for (const [key, value] of Object.entries({ tabindex: "0", role: "region", "aria-label": caption })) {
    place.setAttribute(key, value)
  }
  place.append(node, none)
  const keep = keeper(body, (name) => {
    const cells = columns.slice(1).map(() => make("td"))
    const { draw } = create(name, cells)
    return { node: make("tr", {}, make("th", { scope: "row" }, label(name)), ...cells), draw }
  })
  return (names) => {
    node.hidden = names.length === 0
    none.hidden = names.length > 0
    keep(names)
  }
}

const latest = () => samples.at(-1)

const tiles = (() => {
  const sum = (from, part) => Object.values(from).reduce((all, one) => all + one[part], 0)
  const tilesOf = {
    Active: (sample) => amount(sample.activeTasks),
    Requests: (sample) => `${amount(sample.requests.answered + sample.requests.refused + sample.requests.failed)}/s`,
    Refused: (sample) => `${amount(sample.requests.refused)}/s`,
    Errors: (sample) => `${amount(sample.requests.failed)}/s`,
    Waiting: (sample) => amount(sum(sample.resources, "waiting")),
    Workers: (sample) => amount(sample.workers.length),
    Processor: (sample) => (sample.system === null ? "–" : `${amount(sample.system.cpu_percent)} %`),
    Memory: (sample) => (sample.system === null ? "–" : `${amount(sample.system.process_memory_mb)} MB`)
  }
  const values = Object.entries(tilesOf).map(([name, read]) => {
    const value = make("dd")
    byId("tiles").append(make("div", {}, make("dt", {}, name), value))
    return () => say(value, read(latest()))
  })
  return () => {
    for (const draw of values) draw()
  }
})()

const requests = keeper(byId("requests"), (name) =>
  name === "Requests a second"
    ? chart(
        name,
        [
          { name: "answered", read: ({ requests }) => requests.answered },
          { name: "refused", read: ({ requests }) => requests.refused },
          { name: "failed", read: ({ requests }) => requests.failed }
        ],
        (value) => (value == null ? "–" : `${amount(value)}/s`)
      )
    : chart(
        name,
        [
          { name: "active", read: ({ activeTasks }) => activeTasks },
          {
            name: "waiting",
            read: ({ resources }) => Object.values(resources).reduce((all, { waiting }) => all + waiting, 0)
          }
        ],
        amount
      )
)

const latency = keeper(byId("latency"), (name) =>
  chart(
    name,
    ["p50", "p90", "p99"].map((part) => ({ name: part, read: ({ quantiles }) => quantiles[name]?.[part] })),
    /_seconds($|\{)/.test(name) ? seconds : amount
  )
)

const resources = table(
  "resources",
  "Resources",
  ["Name", "In use", "Of", "Share", "Waiting", "Refused", "The past"],
  (name, [held, capacity, share, waiting, rejected, past]) => {
    const meter = make("meter", { min: "0", max: "1", high: "0.9", "aria-label": `Share of ${name} in use` })
    const percent = make("span")
    share.append(percent, " ", meter)
    const line = spark(
      ({ resources }) => resources[name]?.held,
      () => Math.max(1, latest().resources[name]?.capacity ?? 1)
    )
    past.append(line.node)
    return {
      draw: () => {
        const figures = latest().resources[name]
        const part = figures.capacity === 0 ? 0 : figures.held / figures.capacity
        say(held, amount(figures.held))
        say(capacity, amount(figures.capacity))
        say(percent, `${(100 * part).toFixed(0)} %`)
        meter.value = part
        say(waiting, amount(figures.waiting))
        say(rejected, amount(figures.rejected))
        line.draw()
      }
    }
  }
)

const figure =
  (read) =>
  (_, [value, past]) => {
    const line = spark(read)
    past.append(line.node)
    return {
      draw: () => {
        say(value, amount(read(latest())))
        line.draw()
      }
    }
  }

const sources = table(
  "sources",
  "Limiters, pools and queues",
  ["Name", "Now", "The past"],
  (name, cells) => {
    const [source, part] = JSON.parse(name)
    return figure((sample) => sample.sources[source]?.[part])(name, cells)
  },
  (name) => JSON.parse(name).join(": ")
)

const metrics = table("metrics", "All metrics", ["Name", "Now", "The past"], (name, cells) => {
  const isRate = name.endsWith(" a second")
  const series = isRate ? name.slice(0, -" a second".length) : name
  return figure((sample) => (isRate ? sample.rates : sample.gauges)[series])(name, cells)
})

const workers = table(
  "workers",
  "Workers",
  ["Worker", "Process", "Status", "Up for", "Active", "Processor", "Memory"],
  (name, cells) => ({
    draw: () => {
      const worker = latest().workers.find((each) => each.worker === name)
      const figures = [
        String(worker.pid),
        worker.status,
        `${amount(worker.uptime_seconds)} s`,
        amount(worker.active_tasks),
        `${amount(worker.cpu_percent)} %`,
        `${amount(worker.process_memory_mb)} MB`
      ]
      figures.forEach((text, index) => {
        say(cells[index], text)
      })
      cells[1].className = tone(worker.status)
    }
  })
)

const tone = (status) => (status === "healthy" ? "good" : status === "degraded" ? "warn" : "bad")

const status = byId("status")
let connection = "connecting"
const tellStatus = () => {
  const sample = latest()
  const health = sample === undefined || sample.status === "unknown" ? "" : `The server is ${sample.status}. `
  say(
    status,
    `${health}${{ live: "Live.", paused: "Paused.", connecting: "Connecting.", lost: "The connection is lost; trying again." }[isPaused ? "paused" : connection]}`
  )
  status.className =
    connection === "lost"
      ? "bad"
      : sample === undefined
        ? ""
        : tone(sample.status === "unknown" ? "healthy" : sample.status)
}

const draw = () => {
  tellStatus()
  const sample = latest()
  if (sample === undefined || isPaused) return
  tiles()
  requests(["Requests a second", "Active and waiting"])
  // Of what nothing was measured lately there is nothing to draw.
  const names = new Set(
    shown().flatMap(({ quantiles }) => Object.keys(quantiles).filter((name) => quantiles[name].p50 !== null))
  )
  latency([...names].sort())
  resources(Object.keys(sample.resources))
  sources(
    Object.entries(sample.sources).flatMap(([name, figures]) =>
      Object.keys(figures).map((part) => JSON.stringify([name, part]))
    )
  )
  workers(sample.workers.map(({ worker }) => worker))
  if (byId("metrics").closest("details").open) {
    metrics([...Object.keys(sample.rates).map((name) => `${name} a second`), ...Object.keys(sample.gauges)])
  }
}

let isAsked = false
const drawSoon = () => {
  if (isAsked) return
  isAsked = true
  requestAnimationFrame(() => {
    isAsked = false
    draw()
  })
}

const add = (more) => {
  const known = latest()?.at ?? 0
  samples.push(...more.filter(({ at }) => at > known))
  samples = samples.slice(-5000)
  connection = "live"
  drawSoon()
}

const connect = () => {
  const events = new EventSource(`${location.pathname.replace(/\/$/, "")}/events`)
  events.addEventListener("history", ({ data }) => {
    samples = []
    add(JSON.parse(data))
  })
  events.addEventListener("sample", ({ data }) => add([JSON.parse(data)]))
  events.addEventListener("error", () => {
    connection = "lost"
    drawSoon()
    // A refusal is final to an event source; the server may have room again later.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 5000)
  })
}

byId("span").addEventListener("change", ({ target }) => {
  spanMillis = 1000 * Number(target.value)
  drawSoon()
})
byId("pause").addEventListener("click", ({ target }) => {
  isPaused = !isPaused
  target.setAttribute("aria-pressed", String(isPaused))
  drawSoon()
})
byId("metrics").closest("details").addEventListener("toggle", drawSoon)
connect()
