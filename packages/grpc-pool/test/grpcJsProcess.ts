import { create } from "@bufbuild/protobuf"
import {
  Health,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema
} from "../src/gen/grpc/health/v1/health_pb.ts"
import { startServer } from "./grpcJs.ts"

const health = {
  service: Health,
  check: () => create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.SERVING })
}
const servers = await Promise.all(Array.from({ length: Number(process.argv[2]) }, () => startServer(health)))
process.stdin.on("end", () => process.exit()).resume()
process.stdout.write(servers.map(({ address }) => address).join(" "))
