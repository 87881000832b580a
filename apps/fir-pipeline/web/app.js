// The officer's page. Everything that comes from the server is put in as text,
// never as markup, so a complaint cannot become part of the page.

const TEXTS = {
  en: {
    title: "First Information Report",
    skip: "Skip to the form",
    language: "Language",
    key: "API key of this server",
    use: "Use this key",
    complaint: "The complaint, in any language",
    begin: "Begin a report",
    note: "Additions and corrections, a line each, such as Place: Gandhi Market, Pune or Add section: 352",
    approve: "Approve",
    again: "Make this step again",
    auth: "Key for finalising reports",
    finalise: "Finalise",
    print: "Print",
    new: "Another complaint",
    earlier: "Earlier reports",
    number: "Number of a report",
    find: "Find",
    more: "Older reports",
    working: "Working",
    waitingSeconds: "s",
    needsKey: "This server needs a key.",
    missing: "Not found in the complaint",
    unsupported: "The complaint does not say this",
    unchecked: "Not checked by the model: please decide",
    leaveOut: "Leave this section out",
    considered: "Considered and rejected",
    none: "No section was found.",
    complete: "The report is complete",
    final: "The report is final",
    cognizable: "Cognizable",
    bailable: "Bailable",
    court: "Court",
    away: "The server cannot be reached. Nothing is lost: try again.",
    transcript_review: "Complaint",
    summary_review: "Summary",
    violations_review: "Sections",
    fir_narrative_review: "Narrative",
    final_review: "Report",
    completed: "Complete",
    complainantName: "Complainant",
    fatherOrHusband: "Father or husband",
    dateOfBirth: "Date of birth",
    age: "Age",
    nationality: "Nationality",
    address: "Address",
    contact: "Contact",
    passport: "Passport",
    occupation: "Occupation",
    incidentDate: "Date",
    incidentTime: "From",
    incidentEnd: "To",
    place: "Place",
    reasonOfDelay: "Reason of delay",
    suspects: "Suspects",
    witnesses: "Witnesses",
    property: "Property and amounts",
    vehicles: "Vehicles",
    policeStation: "Police station",
    district: "District",
    state: "State",
    officer: "Officer",
    actionTaken: "Action taken",
    yes: "yes",
    no: "no"
  },
  hi: {
    title: "प्रथम सूचना रिपोर्ट",
    skip: "फ़ॉर्म पर जाएँ",
    language: "भाषा",
    key: "इस सर्वर की API कुंजी",
    use: "यह कुंजी प्रयोग करें",
    complaint: "शिकायत, किसी भी भाषा में",
    begin: "रिपोर्ट शुरू करें",
    note: "जोड़ और सुधार, हर पंक्ति में एक, जैसे स्थान: गांधी बाज़ार, पुणे या Add section: 352",
    approve: "स्वीकृत करें",
    again: "यह चरण फिर से बनाएँ",
    auth: "अंतिम करने की कुंजी",
    finalise: "अंतिम करें",
    print: "छापें",
    new: "दूसरी शिकायत",
    earlier: "पिछली रिपोर्टें",
    number: "रिपोर्ट की संख्या",
    find: "खोजें",
    more: "और पुरानी रिपोर्टें",
    working: "काम चल रहा है",
    waitingSeconds: "से॰",
    needsKey: "इस सर्वर को कुंजी चाहिए।",
    missing: "शिकायत में नहीं मिला",
    unsupported: "शिकायत में यह नहीं कहा गया है",
    unchecked: "मॉडल ने जाँच नहीं की: कृपया आप तय करें",
    leaveOut: "यह धारा छोड़ दें",
    considered: "विचार के बाद छोड़ी गई धाराएँ",
    none: "कोई धारा नहीं मिली।",
    complete: "रिपोर्ट पूरी है",
    final: "रिपोर्ट अंतिम है",
    cognizable: "संज्ञेय",
    bailable: "जमानती",
    court: "न्यायालय",
    away: "सर्वर तक नहीं पहुँचा जा सका। कुछ खोया नहीं है: फिर से प्रयास करें।",
    transcript_review: "शिकायत",
    summary_review: "सारांश",
    violations_review: "धाराएँ",
    fir_narrative_review: "विवरण",
    final_review: "रिपोर्ट",
    completed: "पूरी",
    complainantName: "शिकायतकर्ता",
    fatherOrHusband: "पिता या पति",
    dateOfBirth: "जन्म तिथि",
    age: "आयु",
    nationality: "राष्ट्रीयता",
    address: "पता",
    contact: "संपर्क",
    passport: "पासपोर्ट",
    occupation: "व्यवसाय",
    incidentDate: "दिनांक",
    incidentTime: "समय से",
    incidentEnd: "समय तक",
    place: "स्थान",
    reasonOfDelay: "विलंब का कारण",
    suspects: "संदिग्ध",
    witnesses: "गवाह",
    property: "संपत्ति और राशि",
    vehicles: "वाहन",
    policeStation: "थाना",
    district: "जिला",
    state: "राज्य",
    officer: "अधिकारी",
    actionTaken: "कार्यवाही",
    yes: "हाँ",
    no: "नहीं"
  }
}
const STEPS = ["transcript_review", "summary_review", "violations_review", "fir_narrative_review", "final_review"]

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

/**
 * One call. While something is being done the buttons rest and the seconds are shown, so that waiting is not mistaken for
 * a fault; looking something up disturbs nobody.
 */
const call = async (path, body, headers = {}) => {
  const buttons = body === undefined ? [] : [...document.querySelectorAll("button")]
  for (const button of buttons) button.disabled = true
  const began = Date.now()
  const clock = setInterval(() => {
    if (body === undefined) return
    say(`${t("working")}: ${Math.round((Date.now() - began) / 1000)} ${t("waitingSeconds")}`)
  }, 1000)
  try {
    const key = sessionStorage.getItem("key")
    const response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === null ? {} : { "x-api-key": key }),
        ...headers
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const answer = await response.json()
    if (response.ok) {
      if (body !== undefined) say("")
      return answer
    }
    if (response.status === 401 && path !== "/authenticate") {
      $("key-form").hidden = false
      say(t("needsKey"))
    } else {
      const errors = (answer.errors ?? []).map(({ message, path }) => `${path.join(".")}: ${message}`)
      say([answer.title, answer.detail, ...errors].filter((part) => part !== undefined).join(". "))
    }
  } catch {
    say(t("away"))
  } finally {
    clearInterval(clock)
    for (const button of buttons) button.disabled = false
  }
  return undefined
}

const facts = (content) => {
  const list = element("dl")
  for (const [name, value] of Object.entries(content.facts ?? {}))
    list.append(element("dt", t(name)), element("dd", value))
  for (const name of content.missing ?? []) list.append(element("dt", t(name)), element("dd", t("missing"), "warn"))
  return list
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
    element("p", `${found.score} · ${found.reason}`)
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
      return [element("pre", content.transcript), facts(content)]
    case "summary_review":
      return [element("p", content.summary, "text"), facts(content)]
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
      return [element("p", content.fir_narrative, "text")]
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
  $("step-title").focus()
}

const answer = async (body) => {
  const left = [...document.querySelectorAll("[data-remove]:checked")].map(({ dataset }) => dataset.remove)
  const note = [$("note").value.trim(), ...(left.length === 0 ? [] : [`Remove section: ${left.join(", ")}`])]
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
}

const list = async (anew) => {
  const page = await call(`/list_firs?limit=10${anew || cursor === undefined ? "" : `&cursor=${cursor}`}`)
  if (page === undefined) return
  if (anew) $("list").replaceChildren()
  for (const { created_at, fir_number, status } of page.items) {
    const item = element("li")
    const open = element("button", `${fir_number} · ${new Date(created_at).toLocaleString(language)} · ${status}`)
    open.type = "button"
    open.addEventListener("click", () => find(fir_number))
    item.append(open)
    $("list").append(item)
  }
  cursor = page.next_cursor ?? undefined
  $("more").hidden = !page.has_more
}

const find = async (number) => {
  const found = await call(`/fir/${encodeURIComponent(number)}`)
  if (found !== undefined) show({ content: found, sessionId: undefined, step: "completed" })
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
on("complaint-form", "submit", async () => {
  const opened = await call("/process", { text: $("text").value }, { "idempotency-key": crypto.randomUUID() })
  if (opened !== undefined) {
    show({ content: opened.content_for_validation, sessionId: opened.session_id, step: opened.current_step })
  }
})
on("answer-form", "submit", () => answer({ approved: true }))
on("again", "click", () => answer({ approved: false, regenerate: true }))
on("finalise-form", "submit", async () => {
  const done = await call("/authenticate", { fir_number: shown.content.fir_number, auth_key: $("auth").value })
  if (done === undefined) return
  $("finalise-form").hidden = true
  await list(true)
  say(t("final"))
})
on("print", "click", () => window.print())
on("new", "click", () => {
  shown = undefined
  $("work").hidden = true
  $("complaint-form").hidden = false
  $("text").value = ""
  $("text").focus()
})
on("search-form", "submit", () => find($("number").value.trim()))
on("more", "click", () => list(false))
$("language").addEventListener("change", () => {
  language = $("language").value
  localStorage.setItem("language", language)
  translate()
})

translate()
void list(true)
