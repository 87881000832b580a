/**
 * The steps of a report as a state machine: states and transitions are data, so
 * that the server, the tests and the drawing in the docs read the same table.
 *
 * @module
 */

/** What the officer reviews, in order. */
export const STEPS = [
  "transcript_review",
  "summary_review",
  "violations_review",
  "fir_narrative_review",
  "final_review"
] as const
export type Step = (typeof STEPS)[number]

export type State = Step | "completed" | "expired"
export type Event = "approve" | "reject" | "regenerate" | "expire"

export interface Transition {
  readonly from: State
  readonly event: Event
  readonly to: State
}

export const TRANSITIONS: ReadonlyArray<Transition> = [
  ...STEPS.flatMap(
    (step, index): ReadonlyArray<Transition> => [
      { from: step, event: "approve", to: STEPS[index + 1] ?? "completed" },
      { from: step, event: "reject", to: step },
      { from: step, event: "regenerate", to: step },
      { from: step, event: "expire", to: "expired" }
    ]
  )
]

const table = new Map(TRANSITIONS.map(({ event, from, to }) => [`${from} ${event}`, to]))

/** Where an event leads, or `undefined` where the machine does not take it. */
export const next = (from: State, event: Event): State | undefined => table.get(`${from} ${event}`)

export const isStep = (state: string): state is Step => STEPS.some((step) => step === state)

/** The machine as a Mermaid diagram. */
export const diagram = (): string =>
  [
    "stateDiagram-v2",
    `  [*] --> ${STEPS[0]}`,
    ...TRANSITIONS.map(({ event, from, to }) => `  ${from} --> ${to}: ${event}`),
    "  completed --> [*]",
    "  expired --> [*]"
  ].join("\n")
