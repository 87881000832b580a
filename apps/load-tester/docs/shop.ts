// A scenario as a file: two kinds of visitors of the shop of shopServer.ts.
import { Scenario } from "@sluice/load-tester"

export default Scenario.define({
  scenarios: {
    browse: {
      weight: 4,
      run: async (user) => {
        const items = await user.http.get("/items", { name: "list items" })
        user.check("there are items", items.status === 200)
        await user.http.get("/items/7", { name: "show an item" })
      }
    },
    order: {
      run: async (user) => {
        const order = await user.http.post("/orders", { json: { item: 7 }, name: "place an order" })
        user.check("the order is taken", order.status === 201)
      }
    }
  }
})
