// A scenario over gRPC and WebSocket, as a file without an import of the tester.
import type { Scenario } from "@sluice/load-tester"

const { GRPC_ADDRESS, WS_ADDRESS } = process.env
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

export default {
  scenarios: {
    talk: {
      run: async (user) => {
        const one = await user.grpc(`${GRPC_ADDRESS}/test.Echo/Echo`, bytes("ping"))
        user.check("a message comes back", one.code === 0 && text(one.messages[0]) === "ping")
        const three = await user.grpc(`${GRPC_ADDRESS}/test.Echo/Chat`, ["a", "b", "c"].map(bytes), { name: "stream" })
        user.check("three messages come back", three.messages.map(text).join("") === "abc")
        const said = await user.ws(`${WS_ADDRESS}/chat`, "hello")
        user.check("it says what it was told", said.text() === "hello")
      }
    }
  }
} satisfies Scenario.LoadTest
