// The officer's page. Everything that comes from the server is put in as text,
// never as markup, so a complaint cannot become part of the page.
import { TEXTS } from "./texts.js"

const STEPS = ["transcript_review", "summary_review", "violations_review", "fir_narrative_review", "final_review"]

/** By which label the server knows a field that is corrected. */
const LABELS = {
  complainantName: "Name",
  fatherOrHusband: "Father or husband",
  dateOfBirth: "Date of birth",
  age: "Age",
  nationality: "Nationality",
  address: "Address",
  contact: "Contact",
  passport: "Passport",
  occupation: "Occupation",
  incidentDate: "Date",
  incidentTime: "Time",
  incidentEnd: "Until",
  place: "Place",
  reasonOfDelay: "Reason of delay",
  suspects: "Suspects",
  witnesses: "Witnesses",
  property: "Property",
  vehicles: "Vehicles",
  policeStation: "Police station",
  district: "District",
  state: "State",
  officer: "Officer",
  actionTaken: "Action taken"
}
const FIR_NUMBER = /^FIR-[0-9a-f]{8}-\d{14}$/

const $ = (id) => document.getElementById(id)
const element = (name, text, className) => {
  const made = document.createElement(name)
  if (text !== undefined) made.textContent = text
  if (className !== undefined) made.className = className
  return made
}

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("hi") ? "hi" : "en")
let shown
let cursor
let words = ""
let watching = new AbortController()
const t = (name) => TEXTS[language][name] ?? name

const translate = () => {
  document.documentElement.lang = language
  document.title = t("title")
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t)
  $("language").value = language
  if (shown !== undefined) show(shown)
}

const say = (text) => {
  $("notice").textContent = text
}

const headersOf = () => {
  const key = sessionStorage.getItem("key")
  return key === null ? {} : { "x-api-key": key }
}

/** What was refused, in the words of the server. */
const refuse = (status, answer, path) => {
  if (status === 401 && path !== "/authenticate") {
    $("key-form").hidden = false
    return say(t("needsKey"))
  }
  const errors = (answer.errors ?? []).map(({ message, path }) => `${path.join(".")}: ${message}`)
  say([answer.title, answer.detail, ...errors].filter((part) => part !== undefined).join(". "))
}

/** While the session waits its turn: its place, as the server last told it. */
let place

/**
 * One call. While something is being done the buttons rest and the seconds are shown, so that waiting is not mistaken for
 * a fault; looking something up disturbs nobody.
 */
const call = async (path, body, headers = {}) => {
  const isWork = body !== undefined
  const isForm = body instanceof FormData
  const buttons = isWork ? [...document.querySelectorAll("button")] : []
  for (const button of buttons) button.disabled = true
  const began = Date.now()
  place = undefined
  const clock = setInterval(() => {
    if (!isWork) return
    const line = place === undefined ? "" : ` · ${t("queue")}: ${place}`
    say(`${t("working")}: ${Math.round((Date.now() - began) / 1000)} ${t("waitingSeconds")}${line}`)
  }, 1000)
  try {
    const response = await fetch(path, {
      method: isWork ? "POST" : "GET",
      headers: { ...(isWork && !isForm ? { "content-type": "application/json" } : {}), ...headersOf(), ...headers },
      ...(isWork ? { body: isForm ? body : JSON.stringify(body) } : {})
    })
    const answer = await response.json()
    if (response.ok) {
      if (isWork) say("")
      return answer
    }
    refuse(response.status, answer, path)
  } catch {
    say(t("away"))
  } finally {
    clearInterval(clock)
    for (const button of buttons) button.disabled = false
  }
  return undefined
}

/** Follows what becomes of a session, here or at another desk, until it is complete or another is shown. */
const watch = async (sessionId) => {
  watching.abort()
  watching = new AbortController()
  const { signal } = watching
  try {
    const response = await fetch(`/session/${sessionId}/events`, { headers: headersOf(), signal })
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let buffer = ""
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      buffer += value
      const events = buffer.split("\n\n")
      buffer = events.pop()
      for (const event of events) {
        const data = /^data: (.*)$/m.exec(event)?.[1]
        if (data !== undefined) arrived(sessionId, JSON.parse(data))
      }
    }
  } catch {
    // The page goes on without: each answer brings its step by itself.
  }
}

const arrived = (sessionId, { content, current_step: step, place: inLine, status }) => {
  if (shown?.sessionId !== sessionId) return
  if (status === "processing") {
    place = inLine ?? undefined
    return
  }
  const isNews = step !== shown.step || JSON.stringify(content) !== JSON.stringify(shown.content)
  if (isNews && status !== "expired") show({ content, sessionId, step })
}

const facts = (content) => {
  const list = element("dl")
  for (const [name, value] of Object.entries(content.facts ?? {}))
    list.append(element("dt", t(name)), element("dd", value))
  for (const name of content.missing ?? []) list.append(element("dt", t(name)), element("dd", t("missing"), "warn"))
  return list
}

/** Every field of the report, to be corrected or filled in. */
const fields = (content) => {
  const all = element("details")
  const grid = element("div", undefined, "fields")
  for (const name of Object.keys(LABELS)) {
    const label = element("label", t(name))
    const input = element("input")
    input.value = content.facts?.[name] ?? ""
    input.dataset.label = LABELS[name]
    input.dataset.was = input.value
    input.maxLength = 500
    label.append(input)
    grid.append(label)
  }
  all.append(element("summary", t("fields")), grid)
  return all
}

/** A text that was made, to be corrected where it stands; what the server is told begins with `command`. */
const editable = (id, command, text, rows) => {
  const label = element("label", t("correct"))
  const area = element("textarea")
  area.id = id
  area.rows = rows
  area.value = text
  area.dataset.command = command
  area.dataset.was = text
  label.append(area)
  return label
}

/** What was corrected, as lines that the server understands; a transcript comes last, as it goes to the end. */
const corrections = () => {
  const changed = [...document.querySelectorAll("[data-was]")].filter(({ dataset, value }) => value !== dataset.was)
  const lines = changed
    .filter(({ dataset, value }) => dataset.label !== undefined && value.trim() !== "")
    .map(({ dataset, value }) => `${dataset.label}: ${value.trim()}`)
  const texts = changed.filter(({ dataset }) => dataset.command !== undefined)
  const made = texts
    .filter(({ dataset }) => dataset.command !== "Transcript")
    .map(({ dataset, value }) => `${dataset.command}: ${value.trim().replace(/\s+/g, " ")}`)
  const transcript = texts
    .filter(({ dataset }) => dataset.command === "Transcript")
    .map(({ value }) => `Transcript: ${value.trim()}`)
  return { lines: [...lines, ...made], transcript }
}

/** The citation of a section, which opens the entry that it was proposed from. */
const cited = ({ citation, section }) => {
  const entry = element("details")
  entry.append(element("summary", `${citation} · ${t("source")}`))
  entry.addEventListener(
    "toggle",
    async () => {
      const found = await call(`/law/${encodeURIComponent(section)}`)
      if (found === undefined) return
      const needed = element("ul")
      for (const wordings of found.elements) needed.append(element("li", wordings.join(" / ")))
      entry.append(element("p", found.title), element("p", found.punishment), element("p", t("elements")), needed)
    },
    { once: true }
  )
  return entry
}

const violation = (found, removable) => {
  const card = element("article", undefined, "violation")
  card.append(element("h3", `BNS ${found.section}: ${found.title}`))
  if (found.status === "unchecked") card.append(element("p", t("unchecked"), "warn"))
  card.append(
    element("p", found.punishment),
    element(
      "p",
      `${t("cognizable")}: ${t(found.cognizable)} · ${t("bailable")}: ${t(found.bailable)} · ${t("court")}: ${found.court}`
    ),
    element("p", `${found.score} · ${found.reason}`),
    cited(found)
  )
  if (removable) {
    const label = element("label")
    const box = element("input")
    box.type = "checkbox"
    box.dataset.remove = found.section
    label.append(box, ` ${t("leaveOut")}`)
    card.append(label)
  }
  return card
}

const parts = (step, content) => {
  switch (step) {
    case "transcript_review":
      return [
        ...(content.source === undefined
          ? [element("pre", content.transcript)]
          : [
              element("p", t(content.source === "image" ? "read" : "heard"), "warn"),
              editable("transcript", "Transcript", content.transcript, 10)
            ]),
        facts(content),
        fields(content)
      ]
    case "summary_review":
      return [
        element("p", content.summary, "text"),
        editable("summary", "Summary", content.summary, 4),
        facts(content),
        fields(content)
      ]
    case "violations_review": {
      const rejected = element("details")
      rejected.append(element("summary", t("considered")))
      for (const { reason, section, title } of content.considered ?? []) {
        rejected.append(element("p", `BNS ${section}: ${title} (${reason})`))
      }
      return [
        ...(content.violations.length === 0
          ? [element("p", t("none"), "warn")]
          : content.violations.map((found) => violation(found, true))),
        rejected
      ]
    }
    case "fir_narrative_review":
      return [element("p", content.fir_narrative, "text"), editable("narrative", "Narrative", content.fir_narrative, 6)]
    default:
      return [
        ...(content.unsupported_statements ?? []).map((text) => element("p", `${t("unsupported")}: ${text}`, "warn")),
        ...(content.unchecked_statements ?? []).map((text) => element("p", `${t("unchecked")}: ${text}`, "warn")),
        element("pre", content.fir_content)
      ]
  }
}

const show = ({ content, sessionId, step }) => {
  shown = { content, sessionId, step }
  $("complaint-form").hidden = true
  $("work").hidden = false
  $("steps").replaceChildren(
    ...STEPS.map((name) => {
      const item = element("li", t(name))
      if (name === step) item.setAttribute("aria-current", "step")
      return item
    })
  )
  $("step-title").textContent = step === "completed" ? t("complete") : t(step)
  $("content").replaceChildren(...parts(step, content))
  const done = step === "completed"
  $("answer-form").hidden = done
  $("finalise-form").hidden = !done || sessionId === undefined
  $("after").hidden = !done
  $("history").hidden = sessionId === undefined
  $("history").open = false
  $("step-title").focus()
}

const answer = async (body) => {
  const left = [...document.querySelectorAll("[data-remove]:checked")].map(({ dataset }) => dataset.remove)
  const { lines, transcript } = corrections()
  const note = [
    $("note").value.trim(),
    ...lines,
    ...(left.length === 0 ? [] : [`Remove section: ${left.join(", ")}`]),
    ...transcript
  ]
    .filter((line) => line !== "")
    .join("\n")
  const given = {
    session_id: shown.sessionId,
    current_step: shown.step,
    ...body,
    ...(note === "" ? {} : { user_input: note })
  }
  // One key for one press of the button: a lost answer can be asked for again, and nothing happens twice.
  const result = await call("/validate", given, { "idempotency-key": crypto.randomUUID() })
  if (result === undefined) return
  $("note").value = ""
  show({ content: result.content, sessionId: result.session_id, step: result.current_step })
  if (result.completed) await list(true)
  if (body.approved === false && body.regenerate !== true) say(t("rejected"))
}

/** Who did what with the session that is shown. */
const history = async () => {
  if (!$("history").open || shown?.sessionId === undefined) return
  const status = await call(`/session/${shown.sessionId}/status`)
  if (status === undefined) return
  $("history-list").replaceChildren(
    ...status.validation_history.map(({ action, at, by, step, user_input }) => {
      const what = `${new Date(at).toLocaleString(language)} · ${by} · ${t(step)} · ${action}`
      return element("li", user_input === null ? what : `${what}: ${user_input}`)
    })
  )
}

const save = async () => {
  const { fir_number: number } = shown.content
  try {
    const response = await fetch(`/fir/${number}/pdf`, { headers: headersOf() })
    if (!response.ok) return refuse(response.status, await response.json(), "/fir")
    const link = element("a")
    link.href = URL.createObjectURL(await response.blob())
    link.download = `${number}.pdf`
    link.click()
    URL.revokeObjectURL(link.href)
  } catch {
    say(t("away"))
  }
}

const list = async (anew) => {
  const query = new URLSearchParams({ limit: "10", ...(words === "" ? {} : { search: words }) })
  if (!anew && cursor !== undefined) query.set("cursor", cursor)
  const page = await call(`/list_firs?${query}`)
  if (page === undefined) return
  if (anew) $("list").replaceChildren()
  for (const { created_at, fir_number, status } of page.items) {
    const item = element("li")
    const open = element("button", `${fir_number} · ${new Date(created_at).toLocaleString(language)} · ${t(status)}`)
    open.type = "button"
    open.addEventListener("click", () => find(fir_number))
    item.append(open)
    $("list").append(item)
  }
  if (words !== "" && page.total_count === 0) say(t("nothingFound"))
  cursor = page.next_cursor ?? undefined
  $("more").hidden = !page.has_more
}

const find = async (number) => {
  const found = await call(`/fir/${encodeURIComponent(number)}`)
  if (found !== undefined) show({ content: found, sessionId: undefined, step: "completed" })
}

const search = async () => {
  const asked = $("number").value.trim()
  if (FIR_NUMBER.test(asked)) return find(asked)
  words = asked
  say("")
  await list(true)
}

const begin = async () => {
  const [file] = $("file").files
  const text = $("text").value
  if ((file === undefined) === (text.trim() === "")) return say(t("oneOf"))
  const urgent = $("urgent").checked
  let body = { text, urgent }
  if (file !== undefined) {
    body = new FormData()
    body.append(file.type.startsWith("audio/") ? "audio" : "image", file)
    body.append("urgent", String(urgent))
  }
  const opened = await call("/process", body, { "idempotency-key": crypto.randomUUID() })
  if (opened === undefined) return
  show({ content: opened.content_for_validation, sessionId: opened.session_id, step: opened.current_step })
  void watch(opened.session_id)
  const known = opened.duplicate_of
  if (known !== undefined)
    say(`${t("duplicate")}: ${known.fir_number ?? new Date(known.created_at).toLocaleString(language)}`)
}

const on = (id, event, act) =>
  $(id).addEventListener(event, (happened) => {
    happened.preventDefault()
    void act()
  })

on("key-form", "submit", async () => {
  sessionStorage.setItem("key", $("key").value)
  $("key-form").hidden = true
  await list(true)
})
on("complaint-form", "submit", begin)
on("answer-form", "submit", () => answer({ approved: true }))
on("again", "click", () => answer({ approved: false, regenerate: true }))
on("reject", "click", () => answer({ approved: false }))
$("history").addEventListener("toggle", history)
on("finalise-form", "submit", async () => {
  const done = await call("/authenticate", { fir_number: shown.content.fir_number, auth_key: $("auth").value })
  if (done === undefined) return
  $("finalise-form").hidden = true
  await list(true)
  say(t("final"))
})
on("pdf", "click", save)
on("print", "click", () => window.print())
on("new", "click", () => {
  shown = undefined
  watching.abort()
  $("work").hidden = true
  $("complaint-form").hidden = false
  $("text").value = ""
  $("file").value = ""
  $("urgent").checked = false
  $("text").focus()
})
on("search-form", "submit", search)
on("more", "click", () => list(false))
$("language").addEventListener("change", () => {
  language = $("language").value
  localStorage.setItem("language", language)
  translate()
  void list(true)
})

translate()
void list(true)
