import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { Models } from "../src/index.ts"

describe("schemaKind", () => {
  const kinds = [
    ["table", { table: { name: "orders", columns: [] } }],
    ["dimension", { table: { dimension: { content: {} }, columns: [] } }],
    ["metric", { table: { metric: { content: {} }, columns: [] } }],
    ["relationship", { relationship: { from: "a.id", to: "b.id" } }],
    [undefined, { table: {} }],
    [undefined, { table: [] }],
    [undefined, {}],
    [undefined, "table"]
  ] as const

  it.each(kinds)("is %s for %j", (kind, data) => {
    expect(Models.schemaKind(data)).toBe(kind)
  })

  it("takes a dimension before a metric before columns, as the API does", () => {
    const all = { table: { dimension: { content: {} }, metric: { content: {} }, columns: [] } }
    expect(Models.schemaKind(all)).toBe("dimension")
  })
})

describe("schemaIssues", () => {
  const issues: ReadonlyArray<readonly [ReadonlyArray<string>, unknown]> = [
    [[], { table: { columns: [{ name: "id" }] } }],
    [[], { table: { dimension: { content: {} } } }],
    [[], { table: { metric: { content: {} } } }],
    [[], { relationship: { from: "a.id", to: "b.id" } }],
    [["table must be an object"], { table: "orders" }],
    [["table.columns must be an array"], { table: { columns: {} } }],
    [
      ["table.columns[1] must be an object with a name", "table.columns[2] must be an object with a name"],
      { table: { columns: [{ name: "id" }, { type: "text" }, "region"] } }
    ],
    [["table.dimension.content must be an object"], { table: { dimension: { content: "x" } } }],
    [["table.dimension must be an object"], { table: { dimension: null } }],
    [["table.metric must be an object"], { table: { metric: 7 } }],
    [["schema_data must hold table.columns, table.dimension, table.metric or relationship"], {}],
    [["schema_data must hold table.columns, table.dimension, table.metric or relationship"], { relationship: [] }]
  ]

  it.each(issues)("are %j for %j", (expected, data) => {
    expect(Models.schemaIssues(data)).toEqual(expected)
  })
})

describe("SchemaMetadataCreatedFromApi", () => {
  const stored = { id: "1", created_at: "now", project_id: "p", name: "n", schema_data: { relationship: {} } }
  const decode = Schema.decodeUnknownSync(Models.SchemaMetadataCreatedFromApi)

  it("gives one part for an object", () => {
    expect(decode(stored)).toEqual({ parts: [stored], split: false })
  })

  it("keeps every part of a table that was cut", () => {
    const parts = [stored, { ...stored, id: "2", split_index: 2 }]
    expect(decode(parts)).toEqual({ parts, split: true })
  })

  it("refuses an answer without a part", () => {
    expect(() => decode([])).toThrow()
  })
})
