/**
 * What a complaint says about people, place and time, taken from its own words.
 *
 * Nothing is guessed: a field that no rule finds stays empty, and the report
 * shows it as missing. A line `Label: value`, in the complaint or in what the
 * officer adds, always wins over a rule; the last such line wins over earlier
 * ones, so that every field can be corrected.
 *
 * @module
 */

export const FIELDS = [
  "complainantName",
  "fatherOrHusband",
  "dateOfBirth",
  "age",
  "nationality",
  "address",
  "contact",
  "passport",
  "occupation",
  "incidentDate",
  "incidentTime",
  "incidentEnd",
  "place",
  "reasonOfDelay",
  "suspects",
  "witnesses",
  "property",
  "vehicles",
  "policeStation",
  "district",
  "state",
  "officer",
  "actionTaken"
] as const
export type Field = (typeof FIELDS)[number]
export type Facts = { readonly [F in Field]?: string }

/** Without these a report is incomplete. */
export const REQUIRED: ReadonlyArray<Field> = ["complainantName", "fatherOrHusband", "address", "contact", "place"]

const LABELS: ReadonlyArray<readonly [Field, RegExp]> = [
  [
    "complainantName",
    /^(?:complainant(?:'s)?(?: name)?|name(?: of complainant)?|शिकायतकर्ता(?: का नाम)?|नाम|प्रार्थी का नाम)$/i
  ],
  [
    "fatherOrHusband",
    /^(?:father|husband|father'?s name|husband'?s name|father or husband|पिता|पति|पिता का नाम|पति का नाम)$/i
  ],
  ["dateOfBirth", /^(?:date of birth|dob|birth|जन्म तिथि)$/i],
  ["age", /^(?:age|आयु|उम्र)$/i],
  ["nationality", /^(?:nationality|राष्ट्रीयता)$/i],
  ["address", /^(?:address|complainant'?s address|पता)$/i],
  ["contact", /^(?:mobile|phone|contact|mobile number|phone number|contact number|मोबाइल|फोन|मोबाइल नंबर)$/i],
  ["passport", /^(?:passport|passport number|पासपोर्ट)$/i],
  ["occupation", /^(?:occupation|profession|पेशा|व्यवसाय)$/i],
  ["incidentDate", /^(?:date|date of incident|date of occurrence|incident date|दिनांक|घटना की तिथि)$/i],
  ["incidentTime", /^(?:time|time of incident|incident time|समय|घटना का समय)$/i],
  ["incidentEnd", /^(?:until|to|end|incident end|घटना की समाप्ति)$/i],
  ["place", /^(?:place|place of incident|place of occurrence|घटनास्थल|स्थान|घटना का स्थान)$/i],
  ["reasonOfDelay", /^(?:reason of delay|reason for delay|delay|विलंब का कारण|देरी का कारण)$/i],
  ["suspects", /^(?:suspects?|accused|आरोपी|अभियुक्त|संदिग्ध)$/i],
  ["witnesses", /^(?:witness(?:es)?|गवाह|साक्षी)$/i],
  ["property", /^(?:property|property lost|stolen property|संपत्ति)$/i],
  ["vehicles", /^(?:vehicles?|vehicle number|वाहन)$/i],
  ["policeStation", /^(?:police station|station|थाना)$/i],
  ["district", /^(?:district|जिला)$/i],
  ["state", /^(?:state|राज्य)$/i],
  ["officer", /^(?:officer|investigating officer|अधिकारी|जांच अधिकारी)$/i],
  ["actionTaken", /^(?:action|action taken|कार्यवाही)$/i]
]

// A full stop belongs to a name only after an initial; elsewhere it ends the sentence.
const CAPITALISED = "(?:[A-Z]\\.|[A-Z][\\p{L}'’-]{1,40})"
const NAME = `${CAPITALISED}(?:\\s+${CAPITALISED}){0,4}`
const TITLE = "(?:(?:Mr|Mrs|Ms|Dr|Shri|Sri|Smt|Km|Late)\\.?\\s+)?"
// No word is so long, and a run of signs without an end would be read anew from each of them.
const HINDI = "[\\u0900-\\u0963.]{1,40}"
const MONTHS =
  "January|February|March|April|May|June|July|August|September|October|November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|जनवरी|फरवरी|फ़रवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|अक्टूबर|अक्तूबर|नवंबर|नवम्बर|दिसंबर|दिसम्बर"

const tidy = (text: string): string => text.replace(/\s+/g, " ").replace(/^[\s,:;-]+|[\s,:;।-]+$/g, "")
const tidyName = (text: string): string => tidy(text).replace(/\.$/, "")

/** What is between two words is one sign, so that no rule reads a long gap anew from each of its signs. */
const singleSpaced = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.replace(/\s+/g, " ").trim())
    .filter((line) => line !== "")
    .join("\n")

const first = (text: string, ...patterns: ReadonlyArray<RegExp>): string | undefined => {
  for (const pattern of patterns) {
    const found = pattern.exec(text)?.[1]
    if (found !== undefined && tidy(found) !== "") return tidy(found)
  }
  return undefined
}

const complainantName = (text: string): string | undefined => {
  const name = first(
    text,
    new RegExp(`\\bI,\\s+${TITLE}(${NAME}),`, "u"),
    new RegExp(`\\b[Mm]y name is\\s+${TITLE}(${NAME})`, "u"),
    new RegExp(`\\bI am\\s+${TITLE}(${NAME})[,.]`, "u"),
    new RegExp(`\\bI,\\s+${TITLE}(${NAME})\\s`, "u"),
    new RegExp(`मेरा नाम\\s+((?:${HINDI}\\s+){0,3}${HINDI})\\s+है`, "u"),
    new RegExp(
      `(?:मैं|प्रार्थी|प्रार्थिनी|प्रार्थिया),?\\s+((?:${HINDI}\\s+){0,3}?${HINDI}),?\\s+(?:पुत्र|पुत्री|पत्नी|विधवा|निवासी|उम्र)`,
      "u"
    ),
    new RegExp(
      `(?:[Yy]ours (?:faithfully|sincerely|truly)|[Ss]incerely|[Rr]egards),?\\s*\\n+\\s*${TITLE}(${NAME})`,
      "u"
    ),
    new RegExp(`(?:भवदीय|भवदीया|प्रार्थी|प्रार्थिनी)[,:]?\\s*\\n+\\s*((?:${HINDI}\\s+){0,3}${HINDI})`, "u")
  )
  return name === undefined ? undefined : tidyName(name)
}

const fatherOrHusband = (text: string): string | undefined => {
  const found: Array<string> = []
  for (const match of text.matchAll(
    new RegExp(`\\b(son|daughter|wife|widow) of\\s+${TITLE}(${NAME})|\\b([SDW])/[Oo]\\.?\\s+${TITLE}(${NAME})`, "gu")
  )) {
    const relation = match[1] ?? { S: "son", D: "daughter", W: "wife" }[match[3] ?? "S"]
    found.push(`${relation} of ${tidyName(match[2] ?? match[4] ?? "")}`)
    if (found.length === 2) break
  }
  if (found.length > 0) return found.join(", ")
  const hindi = new RegExp(
    `(पुत्र|पुत्री|पत्नी)\\s+((?:श्री\\s+|स्वर्गीय\\s+|स्व\\.\\s*)?(?:${HINDI}\\s+){0,3}?${HINDI})(?=,|\\s+निवासी|\\s+उम्र|।|\\s+की उम्र|\\s+का|\\n|$)`,
    "u"
  ).exec(text)
  return hindi === null ? undefined : tidy(`${hindi[1]} ${hindi[2]}`)
}

/** Segments of an English address begin with a capital or a digit; the first that does not ends it. */
const address = (text: string): string | undefined => {
  const english =
    /\b(?:resident of|residing at|living at|[Rr]\/[Oo]\.?|I live at)\s+(.+?)(?:\.\s+(?=[A-Z])|\n|$)/su.exec(text)?.[1]
  if (english !== undefined) {
    const segments: Array<string> = []
    for (const segment of english.split(",").map(tidy)) {
      if (!/^[A-Z0-9#]/.test(segment)) break
      const cut = /^(.*?)\s+(?:state|states|want|wish|wishes|beg|request|would|hereby|own|work|am|have)\b/u.exec(
        segment
      )?.[1]
      segments.push(cut ?? segment)
      if (cut !== undefined) break
    }
    if (segments.length > 0) return segments.join(", ")
  }
  return first(text, /निवासी\s+(.+?)(?=,?\s*(?:मोबाइल|फोन|मो०|मो\.)|।|\s+(?:यह|ने|का निवासी)\s|\n|$)/u)
}

const contact = (text: string): string | undefined =>
  first(
    text,
    /(?:phone|mobile|contact|telephone)(?:\s+(?:number|no\.?))?\s*(?:is|:|-)?\s*(\+?\d[\d -]{8,13}\d)/iu,
    /(?:मोबाइल|फोन|मो०)(?:\s+(?:नंबर|नम्बर))?\s*:?\s*(\+?\d[\d -]{8,13}\d)/u
  )

const OCCUPATIONS =
  /(?:,|\ban?)\s+((?:(?:software|civil|electrical|mechanical) engineer|engineer|(?:college |school |law |medical )?student|(?:retired |school )?teacher|retired [a-z]+(?: [a-z]+)?|(?:auto-rickshaw |taxi |truck |bus )?driver|farmer|shopkeeper|businessman|businesswoman|trader|housewife|homemaker|doctor|nurse|advocate|lawyer|clerk|labourer|journalist|accountant by profession|delivery agent|security guard|proprietor of [A-Z][\w &]+))\b/u

const occupation = (text: string): string | undefined =>
  first(
    text,
    OCCUPATIONS,
    /(?:^|[,\s])(छात्रा|छात्र|किसान|दुकानदार|अध्यापक|अध्यापिका|शिक्षक|शिक्षिका|गृहिणी|मजदूर|व्यापारी|इंजीनियर|डॉक्टर)(?=[,\s])/u
  )

const DATE = new RegExp(
  `\\d{1,2}(?:st|nd|rd|th)?\\s+(?:${MONTHS}),?\\s+\\d{4}|(?:${MONTHS})\\s+\\d{1,2}(?:st|nd|rd|th)?,?\\s+\\d{4}|\\d{1,2}[./-]\\d{1,2}[./-]\\d{4}`,
  "gu"
)
const NOT_THE_INCIDENT =
  /(?:married|marriage|wedding|born|birth|dated|since|between [^.]*|शादी|विवाह|जन्म)[^.।]{0,30}$/iu
const AFTER_A_WEDDING = /^[^.।]{0,40}(?:married|शादी|विवाह)/iu

interface When {
  readonly date: string
  readonly index: number
}

const incidentDate = (text: string): When | undefined => {
  for (const match of text.matchAll(DATE)) {
    const before = text.slice(Math.max(0, match.index - 60), match.index)
    const after = text.slice(match.index + match[0].length)
    if (!NOT_THE_INCIDENT.test(before) && !AFTER_A_WEDDING.test(after)) return { date: match[0], index: match.index }
  }
  return undefined
}

const CLOCK = "\\d{1,2}(?:[:.]\\d{2})?\\s*(?:AM|PM|am|pm|a\\.m\\.|p\\.m\\.)|\\d{1,2}:\\d{2}(?:\\s*(?:hours|hrs))?"
const HINDI_CLOCK = "(?:सुबह|दोपहर|शाम|रात|तड़के|प्रातः)\\s*(?:को\\s+)?(?:लगभग|करीब|के)?\\s*\\d{1,2}(?::\\d{2})?\\s*बजे"

const incidentTime = (text: string, after: number): { readonly from?: string; readonly to?: string } => {
  const rest = text.slice(after, after + 300)
  const span = new RegExp(`between\\s+(${CLOCK})\\s+and\\s+(${CLOCK})`, "u").exec(rest)
  if (span !== null) return { from: tidy(span[1] ?? ""), to: tidy(span[2] ?? "") }
  const time = first(rest, new RegExp(`(${CLOCK}|${HINDI_CLOCK})`, "u"))
  return time === undefined ? {} : { from: time }
}

const NUMBERED = `(?:${CAPITALISED}|\\d+[\\w/-]*)`
const PLACE = `${CAPITALISED}(?:\\s+(?:of\\s+|the\\s+)?${NUMBERED}){0,5}(?:,\\s+${CAPITALISED}(?:\\s+${CAPITALISED}){0,3}){0,2}`
const WEIGHT: Readonly<Record<string, number>> = {
  near: 3,
  outside: 3,
  opposite: 3,
  inside: 3,
  "in front of": 3,
  at: 2,
  in: 1,
  on: 1
}
const NO_SCENE =
  /Hospital|Police|Court\b|Medical College|Instagram|Facebook|WhatsApp|UPI|Registrar|^I\b|^(?:Mr|Mrs|Ms|Dr)\b|^AM|^PM/u
const IN_ADDRESS = /(?:resid(?:ent|ing)|living|live|[Rr]\/[Oo])[^.]{0,12}$/u

const englishPlace = (text: string): string | undefined => {
  const date = incidentDate(text)?.index ?? 0
  let best: { readonly place: string; readonly score: number } | undefined
  const pattern = new RegExp(`\\b(near|outside|opposite|inside|in front of|at|in|on)\\s+(?:the\\s+)?(${PLACE})`, "gu")
  for (const match of text.matchAll(pattern)) {
    const preposition = match[1] ?? ""
    const place = tidy((match[2] ?? "").replace(/\.$/, ""))
    const roadless = preposition === "on" && !/Road|Marg|Highway|Street|Bypass|Bridge|Expressway/u.test(place)
    if (roadless || new RegExp(`^(?:${MONTHS})\\b`, "u").test(place)) continue
    if (IN_ADDRESS.test(text.slice(Math.max(0, match.index - 30), match.index))) continue
    const distance = match.index - date
    const score =
      (WEIGHT[preposition] ?? 0) +
      (place.includes(",") ? 2 : 0) +
      (distance >= 0 && distance < 160 ? 1 : 0) -
      (NO_SCENE.test(place) ? 6 : 0)
    if (score > 0 && (best === undefined || score > best.score)) best = { place, score }
  }
  return best?.place
}

const AFTER_PLACE = "(?:पर|में|के पास|के सामने|के निकट|के बाहर|का ताला|स्थित|के समीप)"
const NO_PLACE_WORD =
  /^(?:मेरे|मेरी|मेरा|हमारे|अपने|अपनी|घर|मकान|ससुराल|मैं|मैंने|हम|बजे|हुए|को|ने|के|की|का|से|में|पर|तभी|जब|उस|समय|रात|शाम|सुबह|दोपहर|और|नंबर|मोटरसाइकिल|पास)$/u

const hindiPlace = (text: string): string | undefined => {
  const several = new RegExp(
    `((?:${HINDI}\\s+){0,3}${HINDI})((?:,\\s*${HINDI}(?:\\s+${HINDI})?){0,2}?)(,\\s*${HINDI}(?:\\s+${HINDI})?)\\s+${AFTER_PLACE}(?=[\\s।,]|$)`,
    "gu"
  )
  for (const match of text.matchAll(several)) {
    if (/निवासी[^।]{0,10}$/u.test(text.slice(Math.max(0, match.index - 20), match.index))) continue
    const lead: Array<string> = []
    for (const word of (match[1] ?? "").split(/\s+/).toReversed()) {
      if (NO_PLACE_WORD.test(word)) break
      lead.unshift(word)
    }
    if (lead.length > 0) return tidy(`${lead.join(" ")}${match[2]}${match[3]}`)
  }
  return first(
    text,
    new RegExp(`(?:^|\\s)((?:ग्राम|गांव|गाँव|मोहल्ला)\\s+${HINDI})\\s+${AFTER_PLACE}`, "u"),
    new RegExp(
      `(?:^|\\s)(${HINDI}\\s+(?:चौक|चौराहा|चौराहे|रोड|मार्ग|बाजार|नगर|स्टेशन|पार्क|कॉलोनी|मंदिर|अस्पताल))\\s+${AFTER_PLACE}`,
      "u"
    )
  )
}

const collect = (text: string, pattern: RegExp): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const match of text.matchAll(pattern)) {
    for (const group of match.slice(1)) if (group !== undefined) found.add(tidyName(group))
  }
  return [...found]
}

const suspects = (text: string, without: ReadonlyArray<string>): ReadonlyArray<string> =>
  [
    ...collect(
      text,
      new RegExp(
        `(?:\\bnamed|\\bnamely|\\bcalled (?:him|her)self|\\bone|\\b[Aa]ccused|\\bmy (?:ex-)?husband|\\bmy (?:mother|father|brother|sister)-in-law|\\b[Mm]y neighbour|\\b[Mm]y accountant|his name as|\\breport that)\\s+${TITLE}(${NAME})`,
        "gu"
      )
    ),
    ...collect(
      text,
      new RegExp(
        `(?:पति|सास|ससुर|देवर|जेठ|गाँव के(?: ही)?|गांव के(?: ही)?|मोहल्ले का|मोहल्ले के)\\s+(${HINDI}\\s+${HINDI})(?=\\s+ने|,|\\s+और|\\s+पिछले)`,
        "gu"
      )
    )
  ].filter((name) => !without.includes(name))

const witnesses = (text: string): ReadonlyArray<string> => [
  ...collect(
    text,
    new RegExp(
      `(?:friends?|neighbour|conductor|shopkeeper|seller|colleague|witness)s?,?\\s+${TITLE}(${NAME})(?:\\s+and\\s+(${NAME}))?(?=[^.]{0,60}\\b(?:saw|seen|noticed|noted|caught|told|heard|others saw)|\\.)`,
      "gu"
    )
  ),
  ...collect(
    text,
    new RegExp(
      `(?:मेरे|मेरी)\\s+(?:भाई|सहेली|बेटे|मित्र|पड़ोसी|बहन)\\s+((?:${HINDI}\\s+){0,1}${HINDI})\\s+ने(?=[^।]{0,30}देखा)`,
      "gu"
    )
  )
]

const property = (text: string): ReadonlyArray<string> =>
  collect(
    text,
    /((?:Rs\.?|₹|INR)\s?\d[\d,]*(?:\.\d+)?(?:\s*(?:lakh|crore|thousand)s?)?|\d[\d,]*\s*(?:रुपये|रुपए|रूपये)|(?:एक|दो|तीन|चार|पाँच|पांच|दस)\s+(?:लाख|हजार)\s+रुपये)/gu
  )

const vehicles = (text: string): ReadonlyArray<string> =>
  collect(text, /\b([A-Z]{2}[ -]?\d{1,2}[ -]?[A-Z]{1,3}[ -]?\d{3,4})\b/gu)

const labelled = (text: string): Facts => {
  const found: { [F in Field]?: string } = {}
  for (const line of text.split("\n")) {
    const match = /^\s*([^:：]{2,40})\s*[:：]\s*(\S.*)$/u.exec(line)
    if (match === null) continue
    const label = tidy(match[1] ?? "")
    const field = LABELS.find(([, pattern]) => pattern.test(label))?.[0]
    if (field !== undefined) found[field] = tidy(match[2] ?? "")
  }
  return found
}

const listed = (values: ReadonlyArray<string>): string | undefined =>
  values.length === 0 ? undefined : values.join("; ")

/** The facts of a complaint. `additions` is what the officer wrote; its labelled lines win over everything else. */
export const extract = (asWritten: string, additions = ""): Facts => {
  const complaint = singleSpaced(asWritten)
  const name = complainantName(complaint)
  const when = incidentDate(complaint)
  const time = incidentTime(complaint, when === undefined ? 0 : when.index)
  const seen = witnesses(complaint)
  const found: Record<string, string | undefined> = {
    complainantName: name,
    fatherOrHusband: fatherOrHusband(complaint),
    dateOfBirth: first(complaint, /(?:born on|date of birth)\s+(\d{1,2}[ ./-][\p{L}\d]+[ ./-]\d{4})/iu),
    age: first(complaint, /\baged?\s+(?:about\s+)?(\d{1,3}\s+years)/iu, /उम्र\s+(?:लगभग\s+)?(\d{1,3}\s+वर्ष)/u),
    nationality: first(complaint, /\b(Indian|Nepali|Bangladeshi|Sri Lankan|British|American)\s+(?:national|citizen)/u),
    address: address(complaint),
    contact: contact(complaint),
    passport: first(complaint, /passport\s+(?:number|no\.?)\s*:?\s*([A-Z]\d{7})\b/iu),
    occupation: occupation(complaint),
    incidentDate: when?.date,
    incidentTime: time.from,
    incidentEnd: time.to,
    place: englishPlace(complaint) ?? hindiPlace(complaint),
    reasonOfDelay: first(complaint, /((?:the delay|delay)\b[^.]{5,160}\bbecause\b[^.]{5,160})\./iu),
    suspects: listed(suspects(complaint, [...seen, ...(name === undefined ? [] : [name])])),
    witnesses: listed(seen),
    property: listed(property(complaint)),
    vehicles: listed(vehicles(complaint)),
    policeStation: first(
      complaint,
      /((?:[A-Z][\p{L}]{1,40}\s+){1,4}Police Station)/u,
      new RegExp(`(थाना\\s+(?!प्रभारी|अध्यक्ष)${HINDI})`, "u")
    )
  }
  const merged: { [F in Field]?: string } = {}
  const byLabel = { ...labelled(complaint), ...labelled(singleSpaced(additions)) }
  for (const field of FIELDS) {
    const value = byLabel[field] ?? found[field]
    if (value !== undefined && value !== "") merged[field] = value
  }
  return merged
}
