import { Code } from "@connectrpc/connect"
import { GrpcError } from "@sluice/grpc-pool"
import { expect, it } from "vitest"

it("says what failed, where, and how", () => {
  const error = new GrpcError.GrpcError({
    code: Code.Unavailable,
    details: "connect ECONNREFUSED",
    method: "sluice.echo.v1.EchoService/Echo",
    address: "http://127.0.0.1:9",
    isSent: false,
    metadata: new Headers()
  })
  expect(error.message).toBe(
    "sluice.echo.v1.EchoService/Echo at http://127.0.0.1:9 failed with Unavailable: connect ECONNREFUSED"
  )
})
