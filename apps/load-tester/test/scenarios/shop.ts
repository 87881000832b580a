// A scenario as a user writes it; what the tests run.
import { setTimeout } from "node:timers/promises"
import { Scenario } from "@sluice/load-tester"
import { Effect } from "effect"

export default Scenario.define({
  baseUrl: process.env["SHOP_URL"] ?? "http://127.0.0.1:1",
  feeds: {
    people: { csv: "people.csv" },
    orders: { jsonl: "orders.jsonl", order: "once" },
    colours: { rows: ["red", "green"] as const, order: "random" }
  },
  thresholds: { checks: ["rate>0.5"] },
  setUp: async ({ http }) => ({ token: String((await http.post("/login", { json: { user: "load" } })).at("token")) }),
  tearDown: ({ token }, { http }) => http.post("/logout", { json: { token } }),
  scenarios: {
    browse: {
      weight: 3,
      run: async (user) => {
        const { name = "" } = user.feed("people")
        const found = await user.http.get(
          `/search?q=${encodeURIComponent(name)}&colour=${String(user.feed("colours"))}`,
          {
            headers: { authorization: `Bearer ${user.shared.token}` }
          }
        )
        user.check("finds the name", found.at("name") === name && found.find(/"id":(\d)/) === "7")
        user.values.set("seen", Number(user.values.get("seen") ?? 0) + 1)
        user.check("keeps what it has seen", user.values.get("seen") === user.iteration)
        await user.group("cart", async (user) => {
          const item = found.at("items.0.id")
          await user.http.post("/cart", { json: { item, order: user.feed("orders")["id"] }, name: "add to cart" })
          await user.think("1ms", "2ms")
        })
      }
    },
    compute: {
      run: (user) =>
        Effect.gen(function* () {
          yield* Effect.promise(() => user.step("wait", () => setTimeout(1)))
          yield* Effect.promise(() => user.step("count", () => Effect.succeed(1)))
          if (user.iteration === 2) yield* Effect.fail(new Error("had enough"))
        })
    },
    late: { load: { rate: 100, duration: "100ms" }, startAfter: "50ms", run: ({ http }) => http.get("/late") }
  }
})
