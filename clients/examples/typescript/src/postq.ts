// Where PostQ is, and its services, read from proto/ as the program starts.
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";

const proto = process.env.POSTQ_PROTO ?? fileURLToPath(new URL("../../../../proto", import.meta.url));

// Names as in the files, integers of 64 bits as decimal text (a number cannot hold them all), enums by
// name. What was not sent is absent from a message, except for lists, maps and plain fields.
const definition = loader.loadSync(["postq/v1/job_service.proto", "postq/v1/dispatch_service.proto"], {
  includeDirs: [proto],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});
const v1 = (grpc.loadPackageDefinition(definition).postq as grpc.GrpcObject).v1 as Record<
  string,
  grpc.ServiceClientConstructor
>;

export function service(name: "JobService" | "DispatchService"): grpc.Client & Record<string, any> {
  const make = v1[name];
  if (!make) throw new Error(`proto/ has no ${name}`);
  const address = process.env.POSTQ_ADDRESS ?? "localhost:7432";
  return new make(address, grpc.credentials.createInsecure(), {
    // A peer that is gone without a word is noticed by pings.
    "grpc.keepalive_time_ms": 5_000,
    "grpc.keepalive_timeout_ms": 5_000,
    // Agents have three seconds to come back before their attempts are declared lost.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
  }) as grpc.Client & Record<string, any>;
}

export function metadata(): grpc.Metadata {
  const all = new grpc.Metadata();
  if (process.env.POSTQ_TOKEN) all.set("authorization", `Bearer ${process.env.POSTQ_TOKEN}`);
  return all;
}
