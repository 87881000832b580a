export * as EchoServer from "../EchoServer.ts"
export * from "../gen/sluice/echo/v1/echo_pb.ts"
