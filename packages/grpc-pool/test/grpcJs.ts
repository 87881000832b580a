// The echo and health services on grpc-js, whose messages generated code reads and writes.
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary
} from "@bufbuild/protobuf"
import * as grpc from "@grpc/grpc-js"
import {
  CollectResponseSchema,
  type CountRequest,
  type EchoRequest,
  EchoResponseSchema,
  EchoService
} from "@sluice/grpc-pool/testing"

const serialize =
  (schema: DescMessage) =>
  (message: Message): Buffer =>
    Buffer.from(toBinary(schema, message))

const deserialize =
  (schema: DescMessage) =>
  (bytes: Uint8Array): Message =>
    fromBinary(schema, bytes)

const methodDefinition = (method: DescMethod): grpc.MethodDefinition<Message, Message> => ({
  path: `/${method.parent.typeName}/${method.name}`,
  requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
  responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
  requestSerialize: serialize(method.input),
  requestDeserialize: deserialize(method.input),
  responseSerialize: serialize(method.output),
  responseDeserialize: deserialize(method.output)
})

export const serviceDefinition = (service: DescService): grpc.ServiceDefinition =>
  Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]))

const echoHandlers = (): grpc.UntypedServiceImplementation => {
  let calls = 0
  const answer = (request: EchoRequest): Promise<Message> =>
    new Promise((resolve, reject) => {
      const call = ++calls
      setTimeout(() => {
        if (request.failWith === 0) resolve(create(EchoResponseSchema, { message: request.message, call }))
        else reject({ code: request.failWith, details: request.message })
      }, request.delayMillis)
    })
  const now = (request: EchoRequest): Message => create(EchoResponseSchema, { message: request.message, call: ++calls })
  return {
    echo: (call: grpc.ServerUnaryCall<EchoRequest, Message>, done: grpc.sendUnaryData<Message>) => {
      const echoed = call.metadata.get("x-echo")[0]
      if (echoed !== undefined) {
        const headers = new grpc.Metadata()
        headers.set("x-echo", echoed)
        call.sendMetadata(headers)
      }
      const trailers = new grpc.Metadata()
      if (echoed !== undefined) trailers.set("x-echo-after", echoed)
      const { request } = call
      if (request.delayMillis === 0 && request.failWith === 0) done(null, now(request), trailers)
      else
        answer(request).then(
          (message) => done(null, message, trailers),
          (error) => done(error)
        )
    },
    count: (call: grpc.ServerWritableStream<CountRequest, Message>) => {
      for (let i = 1; i <= call.request.to; i++) call.write(create(EchoResponseSchema, { message: String(i), call: 1 }))
      call.end()
    },
    collect: (call: grpc.ServerReadableStream<EchoRequest, Message>, done: grpc.sendUnaryData<Message>) => {
      const messages: Array<string> = []
      call.on("data", ({ message }: EchoRequest) => messages.push(message))
      call.on("end", () => done(null, create(CollectResponseSchema, { messages })))
    },
    chat: (call: grpc.ServerDuplexStream<EchoRequest, Message>) => {
      call.on("data", (request: EchoRequest) => call.write(now(request)))
      call.on("end", () => call.end())
    }
  }
}

/** Starts a server on a free port. */
export const startServer = (health?: {
  readonly service: DescService
  readonly check: () => Message
}): Promise<{ server: grpc.Server; address: string }> =>
  new Promise((resolve, reject) => {
    const server = new grpc.Server()
    server.addService(serviceDefinition(EchoService), echoHandlers())
    if (health !== undefined) {
      server.addService(serviceDefinition(health.service), {
        check: (_: grpc.ServerUnaryCall<Message, Message>, done: grpc.sendUnaryData<Message>) =>
          done(null, health.check())
      })
    }
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve({ server, address: `127.0.0.1:${port}` })
      else reject(error)
    })
  })
