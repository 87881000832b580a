/** What the threads of the test record. */
export const definition = {
  requests: { kind: "counter", name: "requests_total", help: "Requests." },
  active: { kind: "updown", name: "active", help: "Clients at work." },
  level: { kind: "gauge", name: "level", help: "A level." },
  latency: { kind: "histogram", name: "latency_seconds", help: "Latency." }
} as const
